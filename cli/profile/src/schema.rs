//! The schema of a trace, version 1: one JSON object.
//!
//! It stands under the key `manifold` of a `.json` trace, beside `traceEvents` for viewers, and in the element with the
//! id `data` of an `.html` one. Times are nanoseconds since the process began, sizes are bytes. What exists many times
//! is stored by columns: arrays of equal length, an entry a row. A *name* is an index into [`Profile::names`], a
//! *stage* one into [`Profile::stages`], an *input* a row of [`Profile::inputs`]; where there may be none, the number
//! is one more and 0 is none.
//!
//! Three columns of [`Spans`] are zero in most rows and are stored sparsely ([`sparse`]); one that points to other rows
//! says how far back they are ([`relative`]).
//!
//! Readers ignore keys they do not know. Whatever changes the meaning of a key raises [`VERSION`].

use serde::{Deserialize, Serialize};

/// The version this module describes.
pub const VERSION: u32 = 1;
/// What [`Profile::format`] says.
pub const FORMAT: &str = "manifold-trace";

/// The trace of one link.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Profile {
    /// [`FORMAT`].
    pub format: String,
    /// [`VERSION`].
    pub version: u32,
    /// What was linked, by whom and where.
    pub link: Link,
    /// From the start of the process to the moment the trace was taken, right after the output was in its place.
    pub wall: u64,
    /// What the process used.
    pub usage: Usage,
    /// All names, each once.
    pub names: Vec<String>,
    /// By first start.
    pub stages: Vec<Stage>,
    /// By number; the first is the thread that started the others.
    pub workers: Vec<Worker>,
    /// The steps of the first worker that nothing surrounds, in order.
    pub phases: Vec<Phase>,
    /// The channels of all flows.
    pub channels: Vec<Channel>,
    /// The flows.
    pub flows: Vec<Flow>,
    /// The critical path, from the start to the end without gaps.
    pub critical: Vec<Step>,
    /// What the link would have taken on other numbers of workers.
    pub predictions: Vec<Prediction>,
    /// What could be done about it.
    pub advice: Vec<Advice>,
    /// Files that were read.
    pub files: Vec<File>,
    /// Crates, libraries, targets: what inputs are known by.
    pub groups: Vec<Group>,
    /// Objects, members of archives, shared objects; in the order of the command line.
    pub inputs: Inputs,
    /// Files that were written.
    pub outputs: Vec<Output>,
    /// All spans.
    pub spans: Spans,
    /// Readings of what the process used.
    pub samples: Samples,
}

/// What was linked, by whom and where.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Link {
    /// The linker and its version.
    pub producer: String,
    /// The command line, response files not expanded.
    pub command: Vec<String>,
    /// The directory it ran in.
    pub directory: String,
    /// The output, as named.
    pub output: String,
    /// `executable`, `pie`, `shared` or `relocatable`.
    pub kind: String,
    /// When the process began, in seconds since 1970.
    pub started: f64,
    /// The process.
    pub process: u32,
    /// Whether the output is in its place.
    pub succeeded: bool,
    /// Workers that could be used.
    pub threads: u32,
    /// Why so many: `asked`, `processors` or `jobserver`.
    pub threads_by: String,
    /// Processors of the machine.
    pub processors: u32,
    /// What they call themselves.
    pub processor: String,
    /// The kernel and its version.
    pub system: String,
    /// The file system of the output.
    pub file_system: String,
    /// `--gc-sections`.
    pub gc_sections: bool,
    /// `--build-id`: its style, empty if there is none.
    pub build_id: String,
    /// Debug information is compressed on its way out.
    pub compressed: bool,
}

/// What a process or a part of its time used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Usage {
    /// Processor time in the program.
    pub user: u64,
    /// Processor time in the kernel.
    pub system: u64,
    /// Page faults that needed no reading.
    pub minor_faults: u64,
    /// Page faults that did.
    pub major_faults: u64,
    /// Times a thread gave up its processor.
    pub voluntary_switches: u64,
    /// Times one was taken off it.
    pub involuntary_switches: u64,
    /// The most memory it had at once.
    pub peak: u64,
    /// The most of no file, at the times it was looked at.
    pub peak_anonymous: u64,
    /// The most of mapped files.
    pub peak_mapped: u64,
}

/// A stage, over all workers.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Stage {
    /// Its name. `(main)`, `(lane)` and `(help)` are what is done between stages, `(wait)` is waiting.
    pub name: String,
    /// Items and claims.
    pub spans: u64,
    /// Its own time, without that of stages called from inside it.
    pub busy: u64,
    /// Its own processor time.
    pub cpu: u64,
    /// When it first began.
    pub from: u64,
    /// When it last ended.
    pub to: u64,
    /// Bytes its spans said they handled.
    pub bytes: u64,
    /// Items its spans said they handled.
    pub items: u64,
    /// Its time on the critical path.
    pub critical: u64,
}

impl Stage {
    /// What the engine calls waiting for others, which is no work.
    pub const WAIT: &str = "(wait)";

    /// Whether workers wait in it.
    pub fn is_wait(&self) -> bool {
        self.name == Stage::WAIT
    }
}

/// A worker.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Worker {
    /// `worker 0` and so on.
    pub name: String,
    /// Time in spans that are not waiting.
    pub busy: u64,
    /// Time in spans that are, and outside of spans.
    pub idle: u64,
    /// Processor time.
    pub cpu: u64,
    /// What others did while it was idle: (stage, time). The largest first.
    pub waits: Vec<(u32, u64)>,
    /// How many of the spans are its.
    pub spans: u32,
}

/// A step of the first worker.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Phase {
    /// Its stage.
    pub stage: u32,
    /// When it began.
    pub start: u64,
    /// When it ended.
    pub end: u64,
    /// What the process used meanwhile, as far as readings tell.
    pub usage: Usage,
}

/// A channel of a flow.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Channel {
    /// Its flow.
    pub flow: String,
    /// Its name.
    pub name: String,
    /// How many items it was declared to hold.
    pub capacity: u64,
    /// How many were sent.
    pub messages: u64,
    /// How many it held, on average over its time.
    pub mean: f64,
    /// The most it held.
    pub max: u64,
    /// For how long it was full: its consumers were the bottleneck.
    pub full: u64,
    /// For how long it was empty while producers were at work.
    pub empty: u64,
    /// When it held how many; at most some thousand points.
    pub points: Points,
}

/// A number over time.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Points {
    /// Since the point before.
    pub after: Vec<u64>,
    /// From then on.
    pub value: Vec<u64>,
}

/// A flow: a graph of stages and channels.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Flow {
    /// Its name.
    pub name: String,
    /// The job it was, see [`Spans::job`].
    pub job: u32,
    /// Capacities of its channels.
    pub capacities: Vec<u32>,
    /// Its stages, those furthest downstream first.
    pub stages: Vec<FlowStage>,
}

/// A stage of a flow.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct FlowStage {
    /// The stage.
    pub stage: u32,
    /// How many of its items may run at once; 0 is any number.
    pub limit: u32,
    /// On how many workers the limit holds, on more any number may run; 0 is always.
    pub limit_workers: u32,
    /// What an item takes where the limit does not hold, in percent of what it takes otherwise.
    pub beyond: u32,
    /// Each item needs a shard to itself.
    pub sharded: bool,
    /// One more than the channel it receives from, an index into [`Flow::capacities`]; 0 for sources.
    pub input: u32,
    /// The channels it sends to.
    pub outputs: Vec<u32>,
}

/// A step of the critical path. Steps shorter than a few thousandths of the run are joined with their neighbours.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Step {
    /// The stage at work, plus one; 0 where nobody was.
    pub stage: u32,
    /// On which worker.
    pub worker: u32,
    /// From when.
    pub start: u64,
    /// Until when.
    pub end: u64,
}

/// What the link would take on some number of workers.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Prediction {
    /// The workers.
    pub threads: u32,
    /// The time, from the start of the process to its end.
    pub wall: u64,
    /// How many times faster than on one worker.
    pub speedup: f64,
    /// The part of the time in which only one worker has something to do.
    pub serial: f64,
    /// The stage that is alone for the longest time.
    pub limit: String,
    /// For how long.
    pub limit_time: u64,
}

/// A short sentence about what could be better, with numbers of this link.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Advice {
    /// What it is about, in a word.
    pub about: String,
    /// The sentence.
    pub text: String,
}

/// A file that was read.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct File {
    /// Its path: a name.
    pub path: u32,
    /// Its size.
    pub bytes: u64,
    /// How many of the inputs are its.
    pub inputs: u32,
    /// How many of these are linked.
    pub linked: u32,
}

/// What people know inputs by: a crate, a library, a target.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Group {
    /// Its name, short.
    pub name: String,
    /// Time spent on its inputs, by stage.
    pub time: Vec<(u32, u64)>,
}

/// The inputs, by columns.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Inputs {
    /// The file: an index into [`Profile::files`].
    pub file: Vec<u32>,
    /// The member of the archive: a name plus one.
    pub member: Vec<u32>,
    /// The group.
    pub group: Vec<u32>,
    /// 0 linked, 1 not needed, 2 a shared object.
    pub fate: Vec<u8>,
    /// Bytes read.
    pub read: Vec<u64>,
    /// Time spent on it, as far as spans tell which input they are about.
    pub time: Vec<u64>,
    /// Bytes dropped because nothing refers to them.
    pub unreferenced: Vec<u64>,
    /// Bytes dropped because another input has the same section group.
    pub comdat: Vec<u64>,
    /// Bytes dropped because an equal function stands for them.
    pub folded: Vec<u64>,
    /// Bytes dropped because equal strings and constants stand for them.
    pub merged: Vec<u64>,
    /// Bytes of unwind records dropped.
    pub unwind: Vec<u64>,
}

/// A file that was written.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Output {
    /// Its path.
    pub path: String,
    /// Its size: the sum of all rows but those of kind `bss`.
    pub size: u64,
    /// Its sections, `(headers)` and `(padding)`.
    pub portions: Vec<Portion>,
    /// By row: the portion.
    pub portion: Vec<u32>,
    /// By row: the input plus one; 0 is the linker.
    pub input: Vec<u32>,
    /// By row: bytes.
    pub bytes: Vec<u64>,
}

/// A part of a file that was written.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Portion {
    /// Its name.
    pub name: String,
    /// One of [`KINDS`].
    pub kind: String,
}

/// What bytes of an output are for. `bss` takes no room in the file.
pub const KINDS: [&str; 9] =
    ["code", "read-only", "data", "bss", "unwind", "debug", "symbols", "dynamic", "other"];

/// The spans, by columns; lane by lane as [`Worker::spans`] counts them, by start within a lane.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Spans {
    /// Its stage.
    pub stage: Vec<u32>,
    /// What it stands for: an index into [`SPAN_KINDS`].
    pub kind: Vec<u8>,
    /// When it began, since the span before it on its lane did.
    pub after: Vec<u64>,
    /// How long it took.
    pub time: Vec<u64>,
    /// How many spans of its lane are around it.
    pub depth: Vec<u32>,
    /// Bytes it handled.
    pub bytes: Vec<u64>,
    /// Items it handled.
    pub items: Vec<u64>,
    /// The first of the inputs it was about, plus one.
    pub input: Vec<u32>,
    /// Another name of what it was about, plus one.
    #[serde(with = "sparse")]
    pub label: Vec<u32>,
    /// The job of which it is a claim or an item; 0 if of none.
    pub job: Vec<u32>,
    /// The job it stands for; 0 if none.
    #[serde(with = "sparse")]
    pub opens: Vec<u32>,
    /// The shard it had to itself, plus one.
    #[serde(with = "sparse")]
    pub shard: Vec<u32>,
    /// The row of the span that sent the item, plus one.
    #[serde(with = "relative")]
    pub cause: Vec<u32>,
}

/// What spans stand for: work, waiting, a run, and on the lane of its owner a loop, a walk, a pair of lanes, each of
/// these, a flow; and helping with the job of another worker.
pub const SPAN_KINDS: [&str; 9] = ["work", "wait", "main", "loop", "walk", "join", "lane", "flow", "help"];

/// Readings of what the process used, by columns.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Samples {
    /// Since the reading before.
    pub after: Vec<u64>,
    /// Memory of no file.
    pub anonymous: Vec<u64>,
    /// Memory of mapped files.
    pub mapped: Vec<u64>,
    /// Processor time in the program so far.
    pub user: Vec<u64>,
    /// Processor time in the kernel so far.
    pub system: Vec<u64>,
    /// Page faults without reading so far.
    pub minor_faults: Vec<u64>,
    /// Page faults with reading so far.
    pub major_faults: Vec<u64>,
    /// Switches by the threads themselves so far.
    pub voluntary_switches: Vec<u64>,
    /// Other switches so far.
    pub involuntary_switches: Vec<u64>,
}

/// A column of rows, plus one: stored as how many rows before its own each is, 0 for none.
pub mod relative {
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    /// Writes a column.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<S: Serializer>(column: &[u32], serializer: S) -> Result<S::Ok, S::Error> {
        let distance = |(row, cause): (i64, &u32)| match cause {
            0 => 0,
            cause => row - (i64::from(*cause) - 1),
        };
        serializer.collect_seq((0..).zip(column).map(distance))
    }

    /// Reads one.
    ///
    /// # Errors
    /// Those of the deserializer, or rows that are none.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u32>, D::Error> {
        let distances = Vec::<i64>::deserialize(deserializer)?;
        let cause = |(row, distance): (i64, i64)| match distance {
            0 => Ok(0),
            distance => {
                let cause = row.checked_sub(distance).and_then(|cause| u32::try_from(cause + 1).ok());
                cause.filter(|cause| *cause > 0).ok_or_else(|| D::Error::custom("a row before the first"))
            }
        };
        (0..).zip(distances).map(cause).collect()
    }
}

/// A column that is zero in most rows: `length` rows, of which those in `at` (each less the one before) have `value`.
pub mod sparse {
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Default, Serialize, Deserialize)]
    #[serde(default)]
    struct Sparse {
        length: usize,
        at: Vec<u32>,
        value: Vec<u32>,
    }

    /// No trace has more rows; a damaged file may say so.
    const LENGTH_MAX: usize = 1 << 28;

    /// Writes a column.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<S: Serializer>(column: &[u32], serializer: S) -> Result<S::Ok, S::Error> {
        let mut sparse = Sparse { length: column.len(), ..Sparse::default() };
        let mut before = 0;
        for (row, value) in (0..).zip(column).filter(|(_, value)| **value != 0) {
            sparse.at.push(row - before);
            sparse.value.push(*value);
            before = row;
        }
        sparse.serialize(serializer)
    }

    /// Reads one.
    ///
    /// # Errors
    /// Those of the deserializer, or rows that are none.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u32>, D::Error> {
        let Sparse { length, at, value } = Sparse::deserialize(deserializer)?;
        if length > LENGTH_MAX || at.len() != value.len() {
            return Err(D::Error::custom("a sparse column does not fit together"));
        }
        let mut column = vec![0; length];
        let mut row = 0usize;
        for (step, value) in at.into_iter().zip(value) {
            row += step as usize;
            *column.get_mut(row).ok_or_else(|| D::Error::custom("a sparse column has too many rows"))? =
                value;
        }
        Ok(column)
    }
}

/// A row of [`Spans`].
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Span {
    /// Its row.
    pub row: u32,
    /// Its lane: the number of the worker.
    pub lane: u32,
    /// See [`Spans::stage`].
    pub stage: u32,
    /// See [`Spans::kind`].
    pub kind: u8,
    /// When it began.
    pub start: u64,
    /// When it ended.
    pub end: u64,
    /// See [`Spans::depth`].
    pub depth: u32,
    /// See [`Spans::bytes`].
    pub bytes: u64,
    /// See [`Spans::items`].
    pub items: u64,
    /// See [`Spans::input`].
    pub input: u32,
    /// See [`Spans::label`].
    pub label: u32,
    /// See [`Spans::job`].
    pub job: u32,
    /// See [`Spans::opens`].
    pub opens: u32,
    /// See [`Spans::shard`].
    pub shard: u32,
    /// See [`Spans::cause`].
    pub cause: u32,
}

/// Indices into [`SPAN_KINDS`].
pub mod kind {
    /// Work.
    pub const WORK: u8 = 0;
    /// Waiting.
    pub const WAIT: u8 = 1;
    /// A run.
    pub const MAIN: u8 = 2;
    /// A loop.
    pub const LOOP: u8 = 3;
    /// A walk.
    pub const WALK: u8 = 4;
    /// A pair of lanes.
    pub const JOIN: u8 = 5;
    /// One of them.
    pub const LANE: u8 = 6;
    /// A flow.
    pub const FLOW: u8 = 7;
    /// Helping.
    pub const HELP: u8 = 8;
}

impl Spans {
    /// Adds a row; spans of a lane come by start, after those of the lane before.
    pub fn push(&mut self, span: &Span, before: u64) {
        self.stage.push(span.stage);
        self.kind.push(span.kind);
        self.after.push(span.start - before);
        self.time.push(span.end - span.start);
        self.depth.push(span.depth);
        self.bytes.push(span.bytes);
        self.items.push(span.items);
        self.input.push(span.input);
        self.label.push(span.label);
        self.job.push(span.job);
        self.opens.push(span.opens);
        self.shard.push(span.shard);
        self.cause.push(span.cause);
    }
}

impl Profile {
    /// The spans as rows.
    pub fn rows(&self) -> Vec<Span> {
        let spans = &self.spans;
        let mut rows = Vec::with_capacity(spans.stage.len());
        let mut next = 0;
        for (lane, worker) in self.workers.iter().enumerate() {
            let mut start = 0;
            for row in next..next + worker.spans as usize {
                start += spans.after[row];
                rows.push(Span {
                    row: row as u32,
                    lane: lane as u32,
                    stage: spans.stage[row],
                    kind: spans.kind[row],
                    start,
                    end: start + spans.time[row],
                    depth: spans.depth[row],
                    bytes: spans.bytes[row],
                    items: spans.items[row],
                    input: spans.input[row],
                    label: spans.label[row],
                    job: spans.job[row],
                    opens: spans.opens[row],
                    shard: spans.shard[row],
                    cause: spans.cause[row],
                });
            }
            next += worker.spans as usize;
        }
        rows
    }

    /// The path of an input, and its member in parentheses.
    pub fn input_name(&self, input: usize) -> String {
        let file = &self.files[self.inputs.file[input] as usize];
        let path = &self.names[file.path as usize];
        match self.inputs.member[input].checked_sub(1) {
            Some(member) => format!("{path}({})", self.names[member as usize]),
            None => path.clone(),
        }
    }

    /// What a span was about, if anybody knows.
    pub fn about(&self, span: &Span) -> Option<String> {
        match span.input.checked_sub(1) {
            Some(input) => {
                let more = match span.items {
                    0 | 1 => String::new(),
                    items => format!(" and {} more", items - 1),
                };
                Some(self.input_name(input as usize) + &more)
            }
            None => span.label.checked_sub(1).map(|label| self.names[label as usize].clone()),
        }
    }

    /// Whether all columns are of equal length and all numbers are below what they count: what a file must be asked
    /// before anybody follows an index.
    ///
    /// # Errors
    /// Says what does not fit.
    pub fn check(&self) -> Result<(), String> {
        let spans = &self.spans;
        let rows = self.workers.iter().map(|worker| u64::from(worker.spans)).sum::<u64>() as usize;
        let lengths = [
            spans.stage.len(),
            spans.kind.len(),
            spans.after.len(),
            spans.time.len(),
            spans.depth.len(),
            spans.bytes.len(),
            spans.items.len(),
            spans.input.len(),
            spans.label.len(),
            spans.job.len(),
            spans.opens.len(),
            spans.shard.len(),
            spans.cause.len(),
        ];
        let inputs = &self.inputs;
        let count = inputs.file.len();
        let input_lengths = [
            inputs.member.len(),
            inputs.group.len(),
            inputs.fate.len(),
            inputs.read.len(),
            inputs.time.len(),
            inputs.unreferenced.len(),
            inputs.comdat.len(),
            inputs.folded.len(),
            inputs.merged.len(),
            inputs.unwind.len(),
        ];
        let below = |list: &[u32], bound: usize| list.iter().all(|n| (*n as usize) < bound);
        let at_most = |list: &[u32], bound: usize| list.iter().all(|n| *n as usize <= bound);
        let stages = self.stages.len();
        let in_time = |after: &[u64]| after.iter().try_fold(0u64, |sum, n| sum.checked_add(*n)).is_some();
        let holds = [
            ("spans", lengths.iter().all(|length| *length == rows)),
            ("spans", below(&spans.stage, stages) && at_most(&spans.cause, rows)),
            ("spans", at_most(&spans.input, count) && at_most(&spans.label, self.names.len())),
            ("spans", in_time(&spans.after) && in_time(&spans.time)),
            ("inputs", input_lengths.iter().all(|length| *length == count)),
            ("inputs", below(&inputs.file, self.files.len()) && below(&inputs.group, self.groups.len())),
            ("inputs", at_most(&inputs.member, self.names.len())),
            ("files", self.files.iter().all(|file| (file.path as usize) < self.names.len())),
            ("critical", self.critical.iter().all(|step| step.stage as usize <= stages)),
            ("phases", self.phases.iter().all(|phase| (phase.stage as usize) < stages)),
            (
                "workers",
                self.workers.iter().flat_map(|w| &w.waits).all(|(stage, _)| (*stage as usize) < stages),
            ),
            ("groups", self.groups.iter().flat_map(|g| &g.time).all(|(stage, _)| (*stage as usize) < stages)),
            ("flows", self.flows.iter().all(|flow| flow.fits(stages))),
            ("outputs", self.outputs.iter().all(|output| output.fits(count))),
        ];
        match holds.iter().find(|(_, holds)| !holds) {
            Some((what, _)) => Err(format!("{what} do not fit together")),
            None => Ok(()),
        }
    }
}

impl Flow {
    fn fits(&self, stages: usize) -> bool {
        let channels = self.capacities.len();
        self.stages.iter().all(|stage| {
            (stage.stage as usize) < stages
                && stage.input as usize <= channels
                && stage.outputs.iter().all(|output| (*output as usize) < channels)
        })
    }
}

impl Output {
    fn fits(&self, inputs: usize) -> bool {
        let rows = self.bytes.len();
        self.portion.len() == rows
            && self.input.len() == rows
            && self.portion.iter().all(|n| (*n as usize) < self.portions.len())
            && self.input.iter().all(|n| *n as usize <= inputs)
    }

    /// Its rows: (portion, input plus one, bytes).
    pub fn rows(&self) -> impl Iterator<Item = (&Portion, u32, u64)> {
        let columns = self.portion.iter().zip(&self.input).zip(&self.bytes);
        columns.map(|((portion, input), bytes)| (&self.portions[*portion as usize], *input, *bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_come_back() {
        let mut profile = Profile { stages: vec![Stage::default()], ..Profile::default() };
        profile.workers =
            vec![Worker { spans: 2, ..Worker::default() }, Worker { spans: 1, ..Worker::default() }];
        let span = |row, lane, start, end| Span { row, lane, start, end, ..Span::default() };
        let rows = [span(0, 0, 5, 9), span(1, 0, 7, 8), span(2, 1, 3, 4)];
        profile.spans.push(&rows[0], 0);
        profile.spans.push(&rows[1], 5);
        profile.spans.push(&rows[2], 0);
        assert_eq!(profile.check(), Ok(()));
        assert_eq!(profile.rows(), rows);
        profile.spans.stage[1] = 1;
        assert_eq!(profile.check(), Err("spans do not fit together".into()));
    }

    #[test]
    fn sparse_columns_come_back() {
        let spans = Spans { label: vec![0, 0, 7, 0, 9, 0], cause: vec![0, 1, 4, 0], ..Spans::default() };
        let text = serde_json::to_string(&spans).unwrap();
        assert!(text.contains(r#""cause":[0,1,-1,0]"#), "{text}");
        assert!(text.contains(r#""label":{"length":6,"at":[2,2],"value":[7,9]}"#), "{text}");
        assert_eq!(serde_json::from_str::<Spans>(&text).unwrap(), spans);
        for damaged in [r#"{"length":1,"at":[1],"value":[1]}"#, r#"{"length":9,"at":[1],"value":[]}"#] {
            assert!(serde_json::from_str::<Spans>(&format!(r#"{{"label":{damaged}}}"#)).is_err());
        }
    }
}
