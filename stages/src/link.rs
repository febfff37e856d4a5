//! The whole link on one page.
//!
//! ```text
//!     open ==> parse ==> intern                      flow 1: ingest, per file, overlapped
//!                  \\==> collect
//!                           |  seal: every symbol is known
//!                         select
//!                  /--------+---------\
//!             liveness            merge(debug)       lanes that do not need each other
//!                  \--------+---------/
//!     merge(loaded) . fold . scan . gdb-index . size   (fold: only with --icf)
//!                           |  every size is known
//!                         layout                     the one serial step: short
//!                           |  every address is known
//!     fill ==> digest ==> write ==> gather           flow 2 (`write`): per task, overlapped
//!                           |
//!                         commit
//! ```
//!
//! `==>` is a bounded channel. The milestones are types: [`Symbols`] (every symbol is known), [`Selection`],
//! [`LiveSet`], [`Sizes`](crate::chunks::Sizes), [`Layout`]; a stage that needs a fact takes the value that proves it.

use crate::account::{self, Account, Recorder};
use crate::chunks::{self, Sizes, Sizing};
use crate::compress;
use crate::config::{Config, Icf, InputName, OutputKind};
use crate::context::Cx;
use crate::debug_names;
use crate::dynamic;
use crate::emit;
use crate::exports;
use crate::fold;
use crate::gdb_index;
use crate::image::Image;
use crate::intern::{NameBatch, SHARDS, Shard, Spare, Symbols};
use crate::layout::{Layout, Shape};
use crate::liveness::{self, LiveSet};
use crate::markers;
use crate::merge::{self, Merged};
use crate::model::{File, Inputs, Role};
use crate::open::{Opened, Opener};
use crate::order;
use crate::outputs::{self, Outputs};
use crate::parse::{MappedInput, parse};
use crate::plugin::{self, Candidates, Compiled, Session};
use crate::relocatable;
use crate::report::{Failed, Problem, Problems};
use crate::reproduce;
use crate::scan;
use crate::script::glob::Glob;
use crate::script::{SymbolList, parse_dynamic_list, parse_version_script};
use crate::seal::{Parsed, seal};
use crate::select::{self, Assignment, Provided, Selection};
use crate::shape;
use crate::tables;
use crate::unwind;
use crate::values::{self, Addresses, Resolving};
use crate::write;
use engine::{Flow, FlowError, Next, Panicked, Tracer};
use std::num::NonZeroUsize;
use std::time::Duration;

/// Bytes of inputs that one worker reads as fast as two would, and how long it may take over that.
const READ_ALONE: (u64, Duration) = (4 << 20, Duration::from_millis(1));
/// Bytes of objects that take part below which most loops are over before anybody could help, and how long they may
/// take.
const LINKED_ALONE: (usize, Duration) = (1 << 20, Duration::from_micros(300));

/// How a link went.
#[derive(Debug, Default)]
pub struct Outcome {
    /// What to tell the user, in command-line order.
    pub problems: Vec<Problem>,
    /// The output is in its place.
    pub succeeded: bool,
    /// Lines for standard output that options asked for.
    pub listing: Vec<String>,
    /// If the link is traced: where the bytes of the inputs went.
    pub account: Option<Account>,
}

/// Links.
pub fn link(config: &Config, tracer: &Tracer) -> Outcome {
    let problems = Problems::default();
    let threads = config.threads.unwrap_or(NonZeroUsize::MIN);
    let recorder = Recorder::new(tracer.is_on());
    let result = engine::run(threads, tracer, |pool| {
        run(&Cx { config, pool, problems: &problems, recorder: &recorder })
    });
    let succeeded = match result {
        Ok(Ok(())) => true,
        Ok(Err(Failed)) => false,
        Err(panicked) => {
            problems.push(internal_error(&panicked));
            false
        }
    };
    crate::commit::remove_temporaries();
    plugin::clean_up(&problems);
    let listing = problems.take_said();
    let account = recorder.finish();
    Outcome { problems: problems.into_sorted(), succeeded, listing, account }
}

/// A bug of the linker, as the user sees it.
fn internal_error(panicked: &Panicked) -> Problem {
    let at = if panicked.label.is_empty() { String::new() } else { format!(" on {}", panicked.label) };
    Problem::error(format!("internal error in stage {}{at}: {}", panicked.stage, panicked.message))
        .note("this is a bug in manifold; no output was written")
}

fn run(cx: &Cx) -> Result<(), Failed> {
    let mut ingested = ingest(cx, None)?;
    let Some(compiled) = compile(cx, &mut ingested)? else {
        return link_ingested(cx, ingested, None);
    };
    // What was intermediate code is machine code now: the link starts over with it.
    drop(ingested);
    let cx = &Cx { config: compiled.config(), ..*cx };
    link_ingested(cx, ingest(cx, Some(&compiled))?, Some(&compiled))
}

fn link_ingested(cx: &Cx, ingested: Ingested, compiled: Option<&Compiled>) -> Result<(), Failed> {
    let Ingested { mut inputs, symbols, opened, .. } = ingested;
    account::inputs(cx, &inputs, &opened);
    // Patterns can only be told once every name is known.
    let config = with_wanted_names(cx.config, &symbols, &opened);
    let cx = &Cx { config: config.as_ref().unwrap_or(cx.config), ..*cx };
    let result = link_inputs(cx, &mut inputs, symbols, &opened, compiled);
    crate::source_line::explain(cx, &inputs);
    // Given back with the process, all at once, when nobody waits.
    std::mem::forget(inputs);
    result
}

/// Link-time optimisation: selects with stand-ins for intermediate code and has it compiled, if any of it takes part.
fn compile(cx: &Cx, ingested: &mut Ingested) -> Result<Option<Compiled>, Failed> {
    let Ingested { inputs, symbols, opened, session } = ingested;
    let (Some(session), opened) = (session, &*opened) else { return Ok(None) };
    let config = with_wanted_names(cx.config, symbols, opened);
    let cx = &Cx { config: config.as_ref().unwrap_or(cx.config), ..*cx };
    let assignments = assignments(cx.config, opened);
    let is_relocatable = cx.config.kind == OutputKind::Relocatable;
    let (mut provided, (scripts, lists)) = if is_relocatable {
        (relocatable::provide(symbols, &assignments), Default::default())
    } else {
        (select::provide(cx.config, symbols, &assignments), read_lists(cx, inputs, opened)?)
    };
    let selection = plugin::select(cx, inputs, symbols, &mut provided, &scripts, &lists);
    let inputs = &*inputs;
    crate::source_line::explain(cx, inputs);
    let selection = selection?;
    if !session.is_needed(&selection) {
        return Ok(None);
    }
    crate::why_extract::write(cx, inputs, symbols, &selection)?;
    let provided = &provided;
    let resolved = plugin::Resolved { inputs, symbols, provided, selection: &selection, opened };
    plugin::compile(cx, session, &resolved).map(Some)
}

/// `--undefined-glob` and the EXTERN of scripts: those names are as good as given one by one with `--undefined`.
fn with_wanted_names(config: &Config, symbols: &Symbols, opened: &Opened) -> Option<Config> {
    if config.undefined_globs.is_empty() && opened.undefined.is_empty() {
        return None;
    }
    let globs: Vec<Glob> = config.undefined_globs.iter().map(|glob| Glob::new(glob)).collect();
    let names = symbols.iter().map(|(_, name)| name);
    let mut names: Vec<Vec<u8>> =
        names.filter(|name| globs.iter().any(|glob| glob.matches(name))).map(<[u8]>::to_vec).collect();
    names.sort_unstable();
    let mut config = config.clone();
    config.undefined.extend(names);
    config.undefined.extend(opened.undefined.iter().map(|name| name.to_vec()));
    Some(config)
}

/// Work goes on for so long before anybody is woken for it, unless all threads are to be used whatever they bring.
fn be_patient(cx: &Cx, patience: impl FnOnce() -> Duration) {
    if cx.config.is_patient {
        cx.pool.be_patient(patience());
    }
}

/// Everything between the inputs and the output.
fn link_inputs(
    cx: &Cx,
    inputs: &mut Inputs,
    mut symbols: Symbols,
    opened: &Opened,
    compiled: Option<&Compiled>,
) -> Result<(), Failed> {
    if cx.config.kind == OutputKind::Relocatable {
        // Nothing of what follows applies to -r: it gives no addresses, makes no tables and may leave names undefined.
        let assignments = assignments(cx.config, opened);
        return relocatable::link(cx, inputs, symbols, &assignments, opened, compiled);
    }
    let (scripts, lists) = read_lists(cx, inputs, opened)?;
    let mut provided = select::provide(cx.config, &mut symbols, &assignments(cx.config, opened));
    let selection = select::select(cx, inputs, &mut symbols, &mut provided, &scripts, &lists)?;
    if let Some(compiled) = compiled {
        compiled.check_late(cx, inputs, &selection);
    }
    account::selected(cx, &selection);
    be_patient(cx, || {
        let bytes = selection.objects.iter().map(|id| inputs.object(*id).data.len()).sum::<usize>();
        if bytes < LINKED_ALONE.0 { LINKED_ALONE.1 } else { Duration::ZERO }
    });
    crate::open::absent_dependencies(cx, &selection, inputs, opened);
    crate::inflate::inflate(cx, inputs, &selection);
    crate::zeros::drop_zeros(cx, inputs, &selection);
    crate::line_tables::reduce(cx, inputs, &selection);
    cx.checkpoint()?;
    let inputs: &Inputs = inputs;
    crate::listing::report(cx, inputs, &symbols, &selection, opened);
    crate::backrefs::warn(cx, inputs, &symbols, &selection, opened);
    crate::odr::check(cx, inputs, &symbols, &selection);
    crate::dependencies::print(cx, inputs, &symbols, &selection);
    crate::why_extract::write(cx, inputs, &symbols, &selection)?;

    let seed = seed();
    let names = outputs::number_names(inputs, &selection);
    let is_kept = |id: crate::model::SectionId| !selection.discarded[id.index()];
    let ((unwind, mut live), debug) = cx.pool.join(
        || {
            let unwind = unwind::read(cx, inputs, &selection);
            let live = liveness::mark(cx, inputs, &symbols, &provided, &selection, &unwind);
            (unwind, live)
        },
        || {
            let candidates = outputs::merge_candidates(cx, inputs, &selection, &names, false, is_kept);
            merge::merge(cx, inputs, "merge/debug", &candidates, seed)
        },
    );
    let merge_loaded = |live: &LiveSet| {
        let is_live = |id| live.contains(id);
        let candidates = outputs::merge_candidates(cx, inputs, &selection, &names, true, is_live);
        merge::merge(cx, inputs, "merge/loaded", &candidates, seed)
    };
    // Folding compares what code points to, so it wants to know which strings are equal; else nobody waits for them.
    let early = (cx.config.folding.icf != Icf::None).then(|| merge_loaded(&live));
    if let Some(loaded) = &early {
        let sources = fold::Sources {
            inputs,
            symbols: &symbols,
            provided: &provided,
            selection: &selection,
            unwind: &unwind,
        };
        fold::fold(cx, &sources, &names, loaded, &mut live, seed);
    }
    let ((loaded, scan), (gdb_index, debug_names)) = cx.pool.join(
        || {
            cx.pool.join(
                || early.unwrap_or_else(|| merge_loaded(&live)),
                || scan::scan(cx, inputs, &symbols, &provided, &selection, &live, &unwind),
            )
        },
        || {
            let gdb_index = gdb_index::build(cx, inputs, &selection, &live);
            (gdb_index, debug_names::build(cx, inputs, &selection, &live))
        },
    );
    let markers = markers::find(cx, inputs, &symbols, &provided, &selection, &live, &unwind);
    crate::shlib::check(cx, inputs, &symbols, &provided, &selection);
    cx.checkpoint()?;

    let ((tables, dynamic), mut outputs) = cx.pool.join(
        || {
            let tables = cx.pool.serial("tables", || tables::assign(cx, inputs, &symbols, &selection, &scan));
            let dynamic = cx
                .pool
                .serial("dynamic", || dynamic::collect(cx, inputs, &symbols, &selection, &scan, &tables));
            (tables, dynamic)
        },
        || {
            let order = order::order(cx, inputs, &symbols, &selection, &live);
            outputs::gather(cx, inputs, &selection, &names, &live, order.as_ref(), [&loaded, &debug])
        },
    );
    let sizing = Sizing {
        cx,
        inputs,
        symbols: &symbols,
        provided: &provided,
        selection: &selection,
        live: &live,
        unwind: &unwind,
        scan: &scan,
        tables: &tables,
        dynamic: &dynamic,
        gdb_index: gdb_index.as_ref(),
        debug_names: debug_names.as_ref(),
    };
    let mut sizes = cx.pool.serial("size", || chunks::add(&sizing, names, &mut outputs));
    cx.checkpoint()?;
    let shape = shape::shape(cx, inputs, &selection, &outputs);
    loop {
        let (layout, addresses) = place(
            cx,
            &shape,
            inputs,
            &symbols,
            &provided,
            &selection,
            &live,
            &tables,
            &loaded,
            &debug,
            &scan,
            &mut sizes,
            &mut outputs,
        );
        shape::check_segments(cx, &layout);
        cx.checkpoint()?;

        let pool_addresses = |is_loaded: bool, list: &[u32]| -> Vec<u64> {
            let address = |(n, output): (usize, &u32)| {
                values::pool_address(&outputs, &layout, *output, is_loaded, n as u32)
            };
            list.iter().enumerate().map(address).collect()
        };
        let loaded_pools = pool_addresses(true, &outputs.loaded_pools);
        let debug_pools = pool_addresses(false, &outputs.debug_pools);
        let image = Image {
            cx,
            inputs,
            symbols: &symbols,
            provided: &provided,
            selection: &selection,
            live: &live,
            unwind: &unwind,
            scan: &scan,
            tables: &tables,
            dynamic: &dynamic,
            loaded: &loaded,
            debug: &debug,
            sizes: &sizes,
            outputs: &outputs,
            layout: &layout,
            addresses: &addresses,
            loaded_pools: &loaded_pools,
            debug_pools: &debug_pools,
            gdb_index: gdb_index.as_ref(),
            debug_names: debug_names.as_ref(),
            markers: &markers,
            compressed: &[],
            targets: &[],
            debug_targets: &[],
        };
        let targets = emit::targets(&image);
        let with_debug = if live.has_folded() { targets.len() } else { 0 };
        let debug_targets =
            cx.pool.map("layout/targets", with_debug, 8, |n| emit::for_debug(&image, n, &targets[n]));
        let image = Image { targets: &targets, debug_targets: &debug_targets, ..image };
        if let Some(packed) = chunks::pack_relocations(&image) {
            // Their size was not known; now it is, nearly.
            chunks::set_packed(&mut sizes, &mut outputs, packed);
            continue;
        }
        let result = conclude(&image, &shape, opened);
        // Thousands of lists: given back with the process.
        std::mem::forget((unwind, loaded, debug));
        return result;
    }
}

/// Everything behind the last layout: the output, and what options want to hear of it.
fn conclude(image: &Image, shape: &Shape, opened: &Opened) -> Result<(), Failed> {
    let (cx, inputs, selection) = (image.cx, image.inputs, image.selection);
    crate::symbol_counts::write(cx, inputs, selection)?;
    chunks::report_relative(image);
    crate::archive_stats::write(cx, inputs, selection, opened)?;
    if !compress::is_asked_for(cx.config) {
        write::write(image, shape)?;
    } else {
        let mut outputs = image.outputs.clone();
        let compressed = compress::compress(image, &mut outputs);
        // Nothing that is loaded changes its size, so addresses stay what they are.
        let layout = shape::place(cx, &outputs, shape);
        write::write(
            &Image { outputs: &outputs, layout: &layout, compressed: &compressed, ..*image },
            shape,
        )?;
    }
    account::dropped(image);
    crate::listing::statistics(cx, image, opened);
    crate::map_file::write(cx, image)?;
    crate::listing::dependency_file(cx, opened)
}

/// What flow 1 makes.
struct Ingested {
    inputs: Inputs,
    symbols: Symbols,
    opened: Opened,
    /// Files that plugins have claimed.
    session: Option<Session>,
}

/// Flow 1: files are parsed while others are opened, names are numbered while files are parsed.
fn ingest(cx: &Cx, compiled: Option<&Compiled>) -> Result<Ingested, Failed> {
    let seed = seed();
    let mut opener = Opener::new(cx, compiled);
    // The second time there is nothing left to compile.
    let candidates = compiled.is_none().then(Candidates::default);
    let mut shards: Vec<Shard> = (0..SHARDS).map(|_| Shard::new()).collect();
    let mut parsed: Vec<Parsed> = Vec::new();

    be_patient(cx, || READ_ALONE.1);
    loop {
        run_ingest(cx, &mut opener, &mut shards, &mut parsed, seed, candidates.as_ref())?;
        if !opener.add_dependencies(&parsed) {
            break;
        }
    }

    let opened = opener.finish();
    reproduce::write(cx, &opened, &parsed)?;
    cx.problems.checkpoint()?;
    // An archive without members is an input all the same; a script that came by -T is not.
    let is_input = |input: &crate::config::Input| !matches!(input.name, InputName::Script(_));
    if opened.files == 0 && !cx.config.inputs.iter().any(is_input) {
        return Err(cx.problems.fail(Problem::error("no input files")));
    }
    let mut session = None;
    if let Some((claimed, stand_ins)) = plugin::claim(cx, candidates.unwrap_or_default())? {
        let (stand_ins, batches) = parse_batch(cx, &stand_ins, seed, None, &Spare::default());
        batches.iter().for_each(|(number, batch)| shards[*number].intern(*number, batch));
        parsed.extend(stand_ins);
        session = Some(claimed);
    }
    let mut symbols = Symbols::seal(shards, seed);
    let inputs = cx.pool.serial("seal", || seal(cx, parsed, &mut symbols, &opened));
    Ok(Ingested { inputs, symbols, opened, session })
}

/// Flow 1 itself, for everything that is to be opened now.
fn run_ingest(
    cx: &Cx,
    opener: &mut Opener,
    shards: &mut [Shard],
    parsed: &mut Vec<Parsed>,
    seed: u64,
    candidates: Option<&Candidates>,
) -> Result<(), Failed> {
    let spare = Spare::default();
    let mut flow = Flow::<Failed>::new("ingest");
    // Names that wait to be numbered take as much memory as those that are.
    let batches = (2 + cx.pool.threads()).min(16);
    let (files, to_parse) = flow.channel::<Vec<MappedInput>>("files", 64);
    let (names, to_intern) = flow.channel::<(usize, NameBatch)>("names", batches * SHARDS);
    let (objects, to_collect) = flow.channel::<Vec<Parsed>>("objects", 256);
    let mut bytes = 0;
    flow.source("open", files, |files| match opener.next_batch() {
        Some(batch) => {
            bytes += batch.iter().map(|input| input.data.len() as u64).sum::<u64>();
            if bytes > READ_ALONE.0 {
                be_patient(cx, || Duration::ZERO);
            }
            files.send(batch);
            Ok(Next::Continue)
        }
        None => Ok(Next::Done),
    });
    flow.parallel("parse", to_parse, (names, objects), |batch: Vec<MappedInput>, (names, objects)| {
        let (parsed, batches) = parse_batch(cx, &batch, seed, candidates, &spare);
        for batch in batches {
            names.send(batch);
        }
        objects.send(parsed);
        Ok(())
    })
    .labelled(|batch| {
        engine::Label::from(batch.first().map_or(String::new(), |input| input.origin.to_string()))
    });
    flow.sharded("intern", to_intern, (), shards.iter_mut(), |number, shard, batch: NameBatch, ()| {
        shard.intern(number, &batch);
        spare.put(batch);
        Ok(())
    });
    flow.serial("collect", to_collect, (), |batch: Vec<Parsed>, ()| {
        parsed.extend(batch);
        Ok(())
    });
    finish(cx, flow.run(cx.pool))
}

fn parse_batch(
    cx: &Cx,
    batch: &[MappedInput],
    seed: u64,
    candidates: Option<&Candidates>,
    spare: &Spare,
) -> (Vec<Parsed>, Vec<(usize, NameBatch)>) {
    let mut sink = spare.sink(seed);
    let tracer = cx.pool.tracer();
    if let Some(first) = batch.first() {
        tracer.label(|| engine::Label::Index(first.id.0.into()));
        tracer.add_items(batch.len());
        cx.recorder.note_read(batch.iter().map(|input| (input.id, input.data.len() as u64)));
    }
    let mut files: Vec<(File, u32)> = Vec::with_capacity(batch.len());
    for input in batch {
        cx.pool.tracer().add_bytes(input.data.len());
        let first_id = sink.len();
        if candidates.is_some_and(|candidates| candidates.take_bitcode(input)) {
            continue;
        }
        match parse(cx.config, input, &mut sink) {
            Ok(file) => {
                if let (File::Object(object), Some(candidates)) = (&file, candidates)
                    && object.has_intermediate_code
                    && input.role == Role::Itself
                {
                    candidates.take_object(input, object);
                }
                files.push((file, first_id));
            }
            Err(problem) => cx.problems.push(problem),
        }
    }
    let (ids, batches) = spare.finish(sink);
    let parsed =
        files.into_iter().map(|(file, first_id)| Parsed { file, ids: ids.clone(), first_id }).collect();
    (parsed, batches)
}

/// Layout, repeated while the size of `.relr.dyn` depends on it.
#[expect(clippy::too_many_arguments, reason = "everything that is known meets here, once")]
fn place(
    cx: &Cx,
    shape: &Shape,
    inputs: &Inputs,
    symbols: &Symbols,
    provided: &Provided,
    selection: &Selection,
    live: &LiveSet,
    tables: &tables::Tables,
    loaded: &Merged,
    debug: &Merged,
    scan: &scan::Scan,
    sizes: &mut Sizes,
    outputs: &mut Outputs,
) -> (Layout, Addresses) {
    if !cx.config.emit_relocs {
        // Relocations that stay may name any section.
        outputs::drop_empty(inputs, selection, outputs);
    }
    loop {
        let layout = cx.pool.serial("layout", || shape::place(cx, outputs, shape));
        let form = sizes.form;
        let addresses = values::resolve(&Resolving {
            cx,
            inputs,
            symbols,
            provided,
            selection,
            live,
            tables,
            loaded,
            debug,
            outputs,
            layout: &layout,
            form,
        });
        let got = addresses.bases.got;
        let has_grown = sizes.relocations.has_relr()
            && chunks::update_relr(sizes, outputs, inputs, selection, scan, &addresses.sections, got);
        if !has_grown {
            return (layout, addresses);
        }
    }
}

/// Makes the end of a flow the end of the link where it is one.
pub(crate) fn finish(cx: &Cx, result: Result<(), FlowError<Failed>>) -> Result<(), Failed> {
    result.map_err(|error| match error {
        FlowError::Stopped(failed) => failed,
        FlowError::Panicked(panicked) => cx.problems.fail(internal_error(&panicked)),
    })
}

/// Version scripts and dynamic lists.
fn read_lists(
    cx: &Cx,
    inputs: &Inputs,
    opened: &Opened,
) -> Result<(Vec<crate::script::VersionScript>, SymbolList), Failed> {
    let read = |path: &std::path::Path| {
        crate::open::map_file(path).map_err(|error| {
            let why = crate::open::reason(&error);
            cx.problems.fail(Problem::error(format!("cannot open {}: {why}", path.display())))
        })
    };
    let mut scripts = Vec::new();
    for path in &cx.config.version_scripts {
        let parsed = parse_version_script(read(path)?, &path.display().to_string());
        scripts.push(parsed.map_err(|error| cx.problems.fail(Problem::error(error.to_string())))?);
    }
    scripts.extend(opened.version_scripts.iter().cloned());
    if cx.config.default_symver && cx.config.is_shared() && scripts.is_empty() {
        let name = cx
            .config
            .soname
            .clone()
            .or_else(|| Some(cx.config.output.file_name()?.as_encoded_bytes().to_vec()));
        let text = [name.unwrap_or_default().as_slice(), b" { global: *; };"].concat();
        let parsed = parse_version_script(&text, "--default-symver");
        scripts.push(parsed.map_err(|error| cx.problems.fail(Problem::error(error.to_string())))?);
    }
    scripts.extend(exports::listed(cx, inputs)?);
    let mut lists = cx.config.export_dynamic_symbols.clone();
    for path in cx.config.dynamic_lists.iter().chain(&cx.config.export_dynamic_symbol_lists) {
        let parsed = parse_dynamic_list(read(path)?, &path.display().to_string());
        lists.add_list(parsed.map_err(|error| cx.problems.fail(Problem::error(error.to_string())))?);
    }
    for (is_wanted, text) in [
        (cx.config.dynamic_list_cpp_new, &b"{ extern \"C++\" { operator?new*; operator?delete*; }; };"[..]),
        (cx.config.dynamic_list_cpp_typeinfo, b"{ extern \"C++\" { typeinfo?for*; typeinfo?name?for*; }; };"),
    ] {
        if is_wanted {
            let parsed = parse_dynamic_list(text, "dynamic list of C++ symbols");
            lists.add_list(parsed.map_err(|error| cx.problems.fail(Problem::error(error.to_string())))?);
        }
    }
    Ok((scripts, lists))
}

/// Symbol assignments of the command line and of scripts, in order.
fn assignments(config: &Config, opened: &Opened) -> Vec<Assignment> {
    let of_options = config.defsyms.iter().map(|(name, value)| Assignment {
        name: name.clone(),
        value: value.clone(),
        is_provide: false,
        is_hidden: false,
    });
    of_options.chain(opened.assignments.iter().cloned()).collect()
}

/// A key for hashing that no input can know.
fn seed() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(0u8)
}
