//! From what the engine and the stages recorded to the schema of traces.
//!
//! The engine says who did what when, the stages what the numbers in its spans mean and where the bytes went; here
//! both come together. A span that is about several inputs counts for each of them by its bytes; one that does not say
//! what it is about, but whose item was sent by one that does (names on their way to a shard, bytes on their way to the
//! file), is about the same.

use engine::trace::{Kind, SpanRecord, TraceLane, Usage as EngineUsage, place_of, share};
use engine::{Label, Trace};
use profile::Profile;
use profile::names::group_of;
use profile::schema::{
    Channel, FORMAT, File, Flow, FlowStage, Group, Inputs, Link, Output, Phase, Points, Portion, Samples,
    Span, Stage, Usage, VERSION, Worker, kind,
};
use stages::account::{Account, ByteKind, Fate, FileAccount, LINKER, Numbering, numbering};
use std::collections::HashMap;
use std::path::Path;

/// Points of a channel that are kept.
const POINTS_MAX: usize = 2000;

/// What the table needs of the record of a link, in a fraction of the time: sums, but no spans.
pub fn summary(trace: &Trace, account: Option<&Account>, link: Link, wall: u64) -> Profile {
    made(trace, account, link, wall, |profile, spans, _, _, _| spans.sums(trace, &mut profile.stages))
}

/// The record of a link.
pub fn record(trace: &Trace, account: Option<&Account>, link: Link, wall: u64) -> Profile {
    made(trace, account, link, wall, |profile, spans, about, account, names| {
        profile.inputs.member = members(account, names);
        rows(profile, spans, about, account, names);
        profile.channels = trace.channels.iter().map(channel).collect();
        profile.flows = trace.flows.iter().map(|flow| self::flow(flow, spans)).collect();
        profile.phases = phases(trace, spans);
        profile.samples = samples(trace);
    })
}

/// What both have, with what `more` adds from the spans.
fn made(
    trace: &Trace,
    account: Option<&Account>,
    link: Link,
    wall: u64,
    more: impl FnOnce(&mut Profile, &Spans, &[About], &Account, &mut Names),
) -> Profile {
    let nothing = Account::default();
    let account = account.unwrap_or(&nothing);
    let mut profile = Profile { format: FORMAT.into(), version: VERSION, link, wall, ..Profile::default() };
    let mut names = Names::default();
    files_and_inputs(&mut profile, account, &mut names);
    profile.outputs = account.outputs.iter().map(output).collect();
    let spans = Spans::of(trace);
    let about = spans.about(account);
    profile.stages = spans.stages(trace);
    more(&mut profile, &spans, &about, account, &mut names);
    times(&mut profile, trace, &spans, &about, account);
    profile.workers = trace.lanes.iter().map(|lane| worker(lane, wall)).collect();
    profile.usage = whole_usage(trace);
    profile.names = names.list;
    profile
}

/// Names, each once.
#[derive(Default)]
struct Names {
    list: Vec<String>,
    numbers: HashMap<String, u32>,
}

impl Names {
    fn number(&mut self, name: &str) -> u32 {
        if let Some(number) = self.numbers.get(name) {
            return *number;
        }
        let number = self.list.len() as u32;
        self.list.push(name.to_string());
        self.numbers.insert(name.to_string(), number);
        number
    }
}

fn files_and_inputs(profile: &mut Profile, account: &Account, names: &mut Names) {
    let mut numbers: HashMap<&Path, u32> = HashMap::new();
    let mut groups: HashMap<String, u32> = HashMap::new();
    let mut group_of_file: Vec<u32> = Vec::new();
    let mut add = |profile: &mut Profile, path: &'static Path, bytes: u64, names: &mut Names| -> u32 {
        *numbers.entry(path).or_insert_with(|| {
            let text = path.display().to_string();
            let group = group_of(&text);
            let next = groups.len() as u32;
            let group = *groups.entry(group.clone()).or_insert_with(|| {
                profile.groups.push(Group { name: group, time: Vec::new() });
                next
            });
            group_of_file.push(group);
            profile.files.push(File { path: names.number(&text), bytes, inputs: 0, linked: 0 });
            profile.files.len() as u32 - 1
        })
    };
    for path in &account.files {
        add(profile, path, std::fs::metadata(path).map_or(0, |data| data.len()), names);
    }
    let mut files = Vec::with_capacity(account.inputs.len());
    let mut last: Option<(&Path, u32)> = None;
    for input in &account.inputs {
        let file = match last {
            Some((path, file)) if std::ptr::eq(path, input.path) => file,
            _ => add(profile, input.path, input.read, names),
        };
        last = Some((input.path, file));
        files.push(file);
    }
    let Inputs { file, group, fate, read, time, unreferenced, comdat, folded, merged, unwind, .. } =
        &mut profile.inputs;
    for (input, number) in account.inputs.iter().zip(files) {
        let entry = &mut profile.files[number as usize];
        entry.inputs += 1;
        entry.linked += u32::from(input.fate != Fate::Unused);
        file.push(number);
        group.push(group_of_file[number as usize]);
        fate.push(match input.fate {
            Fate::Linked => 0,
            Fate::Unused => 1,
            Fate::Shared => 2,
        });
        read.push(input.read);
        time.push(0);
        unreferenced.push(input.dropped.unreferenced);
        comdat.push(input.dropped.group);
        folded.push(input.dropped.folded);
        merged.push(input.dropped.merged);
        unwind.push(input.dropped.unwind);
    }
}

/// The name of each member of an archive, plus one.
fn members(account: &Account, names: &mut Names) -> Vec<u32> {
    let mut number = |name: &[u8]| names.number(&String::from_utf8_lossy(name)) + 1;
    let members = account.inputs.iter().map(|input| input.member);
    members.map(|name| name.map_or(0, &mut number)).collect()
}

fn output(file: &FileAccount) -> Output {
    let portion = |portion: &stages::account::Portion| {
        let kind = match portion.kind {
            ByteKind::Code => "code",
            ByteKind::ReadOnly => "read-only",
            ByteKind::Data => "data",
            ByteKind::Bss => "bss",
            ByteKind::Unwind => "unwind",
            ByteKind::Debug => "debug",
            ByteKind::Symbols => "symbols",
            ByteKind::Dynamic => "dynamic",
            ByteKind::Other => "other",
        };
        Portion { name: portion.name.clone(), kind: kind.into() }
    };
    Output {
        path: file.path.display().to_string(),
        size: file.size,
        portions: file.portions.iter().map(portion).collect(),
        portion: file.rows.iter().map(|row| row.0).collect(),
        input: file.rows.iter().map(|row| if row.1 == LINKER { 0 } else { row.1 + 1 }).collect(),
        bytes: file.rows.iter().map(|row| row.2).collect(),
    }
}

/// The spans of a trace in the order of rows, and their stages.
struct Spans<'t> {
    /// Lane by lane.
    list: Vec<(u32, &'t SpanRecord)>,
    /// The stage of each, a place among `names`.
    stages: Vec<u32>,
    /// By lane and number there: the row.
    rows: Vec<Vec<u32>>,
    /// By first start.
    names: Vec<&'static str>,
}

/// What a span is about.
#[derive(Clone, Copy, PartialEq, Eq)]
enum About {
    Nothing,
    /// So many items of a numbering.
    Items(Numbering, u32, u32),
    /// What a task of the output writes.
    Task(u32),
}

impl<'t> Spans<'t> {
    fn of(trace: &'t Trace) -> Spans<'t> {
        let lanes = trace.lanes.iter().zip(0..);
        let list: Vec<(u32, &SpanRecord)> =
            lanes.flat_map(|(lane, number)| lane.spans.iter().map(move |span| (number, span))).collect();
        let mut rows: Vec<Vec<u32>> = Vec::new();
        for ((_, span), row) in list.iter().zip(0..).filter(|((_, span), _)| span.job != 0) {
            let (lane, number) = place_of(span.id);
            rows.resize_with(rows.len().max(lane + 1), Vec::new);
            let rows = &mut rows[lane];
            rows.resize(rows.len().max(number + 1), u32::MAX);
            rows[number] = row;
        }
        // A name may be written in several places: it is told by its address first, which is faster.
        let mut found: Vec<(&'static str, u64)> = Vec::new();
        let mut by_name: HashMap<&'static str, u32> = HashMap::new();
        let mut by_address: HashMap<*const u8, u32> = HashMap::new();
        let mut stages: Vec<u32> = Vec::with_capacity(list.len());
        for (_, span) in &list {
            let stage = *by_address.entry(span.stage.as_ptr()).or_insert_with(|| {
                *by_name.entry(span.stage).or_insert_with(|| {
                    found.push((span.stage, u64::MAX));
                    found.len() as u32 - 1
                })
            });
            let first = &mut found[stage as usize].1;
            *first = (*first).min(span.start);
            stages.push(stage);
        }
        let mut order: Vec<u32> = (0..found.len() as u32).collect();
        order.sort_by_key(|stage| {
            let (name, first) = found[*stage as usize];
            (first, name)
        });
        let names = order.iter().map(|stage| found[*stage as usize].0).collect();
        let mut places = vec![0; order.len()];
        order.iter().zip(0..).for_each(|(stage, place)| places[*stage as usize] = place);
        stages.iter_mut().for_each(|stage| *stage = places[*stage as usize]);
        Spans { list, stages, rows, names }
    }

    fn cause(&self, span: &SpanRecord) -> Option<u32> {
        let (lane, number) = place_of(span.cause);
        self.rows.get(lane)?.get(number).copied().filter(|row| *row != u32::MAX)
    }

    /// The stage of a name, 0 if nothing of it ran.
    fn stage_named(&self, name: &str) -> u32 {
        self.names.iter().position(|known| *known == name).unwrap_or(0) as u32
    }

    /// The rows of each lane.
    fn lanes<'s>(&self, trace: &'s Trace) -> impl Iterator<Item = (&'s TraceLane, std::ops::Range<usize>)> {
        trace.lanes.iter().scan(0, |first, lane| {
            let rows = *first..*first + lane.spans.len();
            *first = rows.end;
            Some((lane, rows))
        })
    }

    /// By row.
    fn about(&self, account: &Account) -> Vec<About> {
        let numberings: Vec<Numbering> = self.names.iter().map(|name| numbering(name)).collect();
        let of = |((_, span), stage): (&(u32, &SpanRecord), &u32)| {
            of_label(span, numberings[*stage as usize], account)
        };
        let mut about: Vec<About> = self.list.iter().zip(&self.stages).map(of).collect();
        // Senders start before what they send.
        let mut sent: Vec<u32> = (self.list.iter().zip(0..))
            .filter(|((_, span), row)| span.cause != 0 && about[*row as usize] == About::Nothing)
            .map(|(_, row)| row)
            .collect();
        sent.sort_by_key(|row| self.list[*row as usize].1.start);
        for row in sent {
            if let Some(cause) = self.cause(self.list[row as usize].1) {
                about[row as usize] = about[cause as usize];
            }
        }
        about
    }

    /// Adds up what [`profile::analysis::complete`] would from the rows.
    fn sums(&self, trace: &Trace, stages: &mut [Stage]) {
        for stage in stages.iter_mut() {
            stage.from = u64::MAX;
        }
        for (lane, rows) in self.lanes(trace) {
            let own_times = lane.spans.iter().zip(lane.own_times());
            for ((span, own), stage) in own_times.zip(&self.stages[rows]) {
                let stage = &mut stages[*stage as usize];
                stage.busy += own;
                stage.from = stage.from.min(span.start);
                stage.to = stage.to.max(span.end);
                stage.spans += u64::from(matches!(span.kind, Kind::Work | Kind::Lane | Kind::Wait));
                stage.bytes += span.bytes;
                stage.items += span.items;
            }
        }
    }

    /// The stages by first start, with their processor time.
    fn stages(&self, trace: &Trace) -> Vec<Stage> {
        let mut stages: Vec<Stage> =
            self.names.iter().map(|name| Stage { name: (*name).into(), ..Stage::default() }).collect();
        for (lane, rows) in self.lanes(trace) {
            for (cpu, stage) in lane.own_cpu().into_iter().zip(&self.stages[rows]) {
                stages[*stage as usize].cpu += cpu;
            }
        }
        stages
    }
}

fn of_label(span: &SpanRecord, numbering: Numbering, account: &Account) -> About {
    let Label::Index(index) = span.label else { return About::Nothing };
    let (first, count) = (index as u32, span.items.max(1) as u32);
    let bound = match numbering {
        Numbering::Files => account.inputs.len(),
        Numbering::Objects => account.objects.len(),
        Numbering::Merged(is_loaded) => account.merged[usize::from(!is_loaded)].len(),
        Numbering::Tasks => account.tasks.len(),
        Numbering::Other => return About::Nothing,
    };
    if u64::from(first) + u64::from(count) > bound as u64 {
        return About::Nothing;
    }
    if numbering == Numbering::Tasks { About::Task(first) } else { About::Items(numbering, first, count) }
}

/// Calls `visit` with each input a span is about and its weight.
fn for_each_input(about: About, account: &Account, mut visit: impl FnMut(u32, u64)) {
    match about {
        About::Nothing => {}
        About::Task(task) => {
            account.tasks[task as usize].iter().for_each(|(input, bytes)| visit(*input, *bytes))
        }
        About::Items(numbering, first, count) => {
            for n in first as usize..(first + count) as usize {
                let input = match numbering {
                    Numbering::Files => n as u32,
                    Numbering::Merged(is_loaded) => account.merged[usize::from(!is_loaded)][n],
                    _ => account.objects[n],
                };
                visit(input, account.inputs.get(input as usize).map_or(0, |input| input.read) + 1);
            }
        }
    }
}

fn rows(profile: &mut Profile, spans: &Spans, about: &[About], account: &Account, names: &mut Names) {
    let inputs = account.inputs.len() as u32;
    let (mut lane_before, mut before) = (u32::MAX, 0);
    for (row, (lane, span)) in spans.list.iter().enumerate() {
        if std::mem::replace(&mut lane_before, *lane) != *lane {
            before = 0;
        }
        let mut first = None;
        for_each_input(about[row], account, |input, _| {
            if first.is_none() && input < inputs {
                first = Some(input);
            }
        });
        let label = match &span.label {
            Label::Text(text) if first.is_none() => names.number(text) + 1,
            _ => 0,
        };
        let row = Span {
            row: row as u32,
            lane: *lane,
            stage: spans.stages[row],
            kind: kind_of(span.kind),
            start: span.start,
            end: span.end,
            depth: span.depth,
            bytes: span.bytes,
            items: span.items,
            input: first.map_or(0, |input| input + 1),
            label,
            job: span.job,
            opens: span.opens,
            shard: span.shard,
            cause: spans.cause(span).map_or(0, |row| row + 1),
        };
        profile.spans.push(&row, before);
        before = span.start;
    }
}

fn kind_of(kind: Kind) -> u8 {
    match kind {
        Kind::Work => kind::WORK,
        Kind::Wait => kind::WAIT,
        Kind::Main => kind::MAIN,
        Kind::Loop => kind::LOOP,
        Kind::Walk => kind::WALK,
        Kind::Join => kind::JOIN,
        Kind::Lane => kind::LANE,
        Kind::Flow => kind::FLOW,
        Kind::Help => kind::HELP,
    }
}

/// Shares the time of spans out among the inputs they are about.
fn times(profile: &mut Profile, trace: &Trace, spans: &Spans, about: &[About], account: &Account) {
    let own = trace.lanes.iter().flat_map(|lane| lane.own_times());
    let stages = profile.stages.len();
    // By group and stage.
    let mut sums = vec![0u64; profile.groups.len() * stages];
    for ((own, about), stage) in own.zip(about).zip(&spans.stages) {
        let mut whole = 0;
        for_each_input(*about, account, |_, weight| whole += weight);
        if whole == 0 {
            continue;
        }
        for_each_input(*about, account, |input, weight| {
            let Some(time) = profile.inputs.time.get_mut(input as usize) else { return };
            let share = share(own, weight, whole);
            *time += share;
            sums[profile.inputs.group[input as usize] as usize * stages + *stage as usize] += share;
        });
    }
    for (group, sums) in profile.groups.iter_mut().zip(sums.chunks(stages.max(1))) {
        group.time = (0..).zip(sums.iter().copied()).filter(|(_, time)| *time > 0).collect();
    }
}

fn worker(lane: &TraceLane, wall: u64) -> Worker {
    let first = lane.cpu.first().map_or(0, |(_, cpu)| *cpu);
    // What the first worker used before anybody looked counts, too: it is the time of the process until then.
    let before = if lane.name == "worker 0" { 0 } else { first };
    let cpu = lane.cpu_at(wall).saturating_sub(before);
    Worker { name: lane.name.clone(), cpu, spans: lane.spans.len() as u32, ..Worker::default() }
}

fn channel(stats: &engine::trace::ChannelStats) -> Channel {
    let step = stats.points.len().div_ceil(POINTS_MAX).max(1);
    let mut points = Points::default();
    let mut before = 0;
    for chunk in stats.points.chunks(step) {
        // Of several points the highest, and the last.
        let highest = chunk.iter().max_by_key(|(_, value)| *value);
        let last = chunk.last().filter(|last| Some(*last) != highest);
        for (time, value) in highest.into_iter().chain(last) {
            points.after.push(time - before);
            points.value.push((*value).into());
            before = *time;
        }
    }
    Channel {
        flow: stats.flow.into(),
        name: stats.name.into(),
        capacity: stats.capacity,
        messages: stats.messages,
        mean: (stats.mean() * 100.0).round() / 100.0,
        max: stats.occupancy_max,
        full: stats.time_when(|held| held >= stats.capacity),
        empty: stats.time_when(|held| held == 0),
        points,
    }
}

fn flow(flow: &engine::trace::FlowRecord, spans: &Spans) -> Flow {
    let stage = |stage: &engine::trace::StageRecord| FlowStage {
        stage: spans.stage_named(stage.name),
        limit: u32::try_from(stage.limit).unwrap_or(0),
        limit_workers: u32::try_from(stage.limit_workers).unwrap_or(0),
        beyond: stage.beyond,
        sharded: stage.is_sharded,
        input: stage.input.map_or(0, |channel| channel as u32 + 1),
        outputs: stage.outputs.iter().map(|channel| *channel as u32).collect(),
    };
    Flow {
        name: flow.name.into(),
        job: flow.job,
        capacities: flow.channels.iter().map(|(_, capacity)| *capacity as u32).collect(),
        stages: flow.stages.iter().map(stage).collect(),
    }
}

/// The steps of the first worker: what is right inside its run.
fn phases(trace: &Trace, spans: &Spans) -> Vec<Phase> {
    let Some(first) = trace.lanes.first() else { return Vec::new() };
    let run = first.spans.iter().find(|span| span.kind == Kind::Main);
    let depth = run.map_or(0, |run| run.depth + 1);
    let is_step = |span: &SpanRecord| span.depth == depth || span.depth == 0 && span.kind != Kind::Main;
    let mut phases: Vec<Phase> = Vec::new();
    // Its rows are the first.
    for (span, stage) in first.spans.iter().zip(&spans.stages).filter(|(span, _)| is_step(span)) {
        let stage = *stage;
        match phases.last_mut() {
            // Loops of one stage after another are one step.
            Some(last) if last.stage == stage => last.end = span.end,
            _ => phases.push(Phase { stage, start: span.start, end: span.end, usage: Usage::default() }),
        }
    }
    for phase in &mut phases {
        let (from, to) = (usage_at(trace, phase.start), usage_at(trace, phase.end));
        phase.usage = Usage {
            user: to.user.saturating_sub(from.user),
            system: to.system.saturating_sub(from.system),
            minor_faults: to.minor_faults.saturating_sub(from.minor_faults),
            major_faults: to.major_faults.saturating_sub(from.major_faults),
            voluntary_switches: to.voluntary_switches.saturating_sub(from.voluntary_switches),
            involuntary_switches: to.involuntary_switches.saturating_sub(from.involuntary_switches),
            peak: to.peak,
            ..Usage::default()
        };
    }
    phases
}

/// What the process had used at a time: read, or between the readings around it.
fn usage_at(trace: &Trace, time: u64) -> EngineUsage {
    let after = trace.samples.partition_point(|sample| sample.time < time);
    let before = after.checked_sub(1).map(|n| trace.samples[n]);
    match (before, trace.samples.get(after)) {
        (Some(low), Some(high)) if high.time > low.time => {
            let part = (time - low.time) as f64 / (high.time - low.time) as f64;
            let mix = |low: u64, high: u64| low + (high.saturating_sub(low) as f64 * part) as u64;
            let (low, high) = (low.usage, high.usage);
            EngineUsage {
                user: mix(low.user, high.user),
                system: mix(low.system, high.system),
                minor_faults: mix(low.minor_faults, high.minor_faults),
                major_faults: mix(low.major_faults, high.major_faults),
                voluntary_switches: mix(low.voluntary_switches, high.voluntary_switches),
                involuntary_switches: mix(low.involuntary_switches, high.involuntary_switches),
                peak: high.peak,
            }
        }
        (_, Some(sample)) => sample.usage,
        (Some(sample), None) => sample.usage,
        (None, None) => EngineUsage::default(),
    }
}

fn samples(trace: &Trace) -> Samples {
    let mut samples = Samples::default();
    let mut before = 0;
    for sample in &trace.samples {
        samples.after.push(sample.time - before);
        samples.anonymous.push(sample.anonymous);
        samples.mapped.push(sample.mapped);
        samples.user.push(sample.usage.user);
        samples.system.push(sample.usage.system);
        samples.minor_faults.push(sample.usage.minor_faults);
        samples.major_faults.push(sample.usage.major_faults);
        samples.voluntary_switches.push(sample.usage.voluntary_switches);
        samples.involuntary_switches.push(sample.usage.involuntary_switches);
        before = sample.time;
    }
    samples
}

fn whole_usage(trace: &Trace) -> Usage {
    let Some(last) = trace.samples.last() else { return Usage::default() };
    Usage {
        user: last.usage.user,
        system: last.usage.system,
        minor_faults: last.usage.minor_faults,
        major_faults: last.usage.major_faults,
        voluntary_switches: last.usage.voluntary_switches,
        involuntary_switches: last.usage.involuntary_switches,
        peak: last.usage.peak,
        peak_anonymous: trace.samples.iter().map(|sample| sample.anonymous).max().unwrap_or(0),
        peak_mapped: trace.samples.iter().map(|sample| sample.mapped).max().unwrap_or(0),
    }
}
