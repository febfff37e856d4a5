//! Sums that several readers show: what became of each input and each group, by kind of bytes and by stage.

use crate::schema::{Inputs, KINDS, Profile};

/// Bytes by [`KINDS`].
pub type Bytes = [u64; KINDS.len()];

/// Index of `bss` in [`KINDS`].
const BSS: usize = 3;

/// What became of an input or a group.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Figures {
    /// Bytes read.
    pub read: u64,
    /// Bytes in the output, by kind.
    pub written: Bytes,
    /// Bytes dropped: unreferenced, of other groups, folded, merged, unwind records.
    pub dropped: [u64; 5],
    /// Nanoseconds.
    pub time: u64,
    /// Inputs.
    pub inputs: u64,
    /// Inputs that are linked.
    pub linked: u64,
}

impl Figures {
    /// Bytes it has in the file.
    pub fn in_file(&self) -> u64 {
        in_file(&self.written)
    }

    /// All bytes dropped.
    pub fn lost(&self) -> u64 {
        self.dropped.iter().sum()
    }

    fn add(&mut self, other: &Figures) {
        self.read += other.read;
        self.time += other.time;
        self.inputs += other.inputs;
        self.linked += other.linked;
        self.written.iter_mut().zip(other.written).for_each(|(sum, n)| *sum += n);
        self.dropped.iter_mut().zip(other.dropped).for_each(|(sum, n)| *sum += n);
    }
}

/// Bytes that are in the file: all but `bss`.
pub fn in_file(bytes: &Bytes) -> u64 {
    bytes.iter().enumerate().filter(|(n, _)| *n != BSS).map(|(_, bytes)| bytes).sum()
}

/// The number of a kind in [`KINDS`]; what is not known is `other`.
pub fn kind_number(kind: &str) -> usize {
    KINDS.iter().position(|known| *known == kind).unwrap_or(KINDS.len() - 1)
}

/// By row of [`Profile::inputs`], and at the end those of the linker itself.
pub fn of_inputs(profile: &Profile) -> Vec<Figures> {
    let Inputs { fate, read, time, unreferenced, comdat, folded, merged, unwind, .. } = &profile.inputs;
    let mut list: Vec<Figures> = (0..read.len())
        .map(|n| Figures {
            read: read[n],
            written: Bytes::default(),
            dropped: [unreferenced[n], comdat[n], folded[n], merged[n], unwind[n]],
            time: time[n],
            inputs: 1,
            linked: u64::from(fate[n] != 1),
        })
        .collect();
    list.push(Figures::default());
    let linker = list.len() - 1;
    for output in &profile.outputs {
        let kinds: Vec<usize> = output.portions.iter().map(|portion| kind_number(&portion.kind)).collect();
        let columns = output.portion.iter().zip(&output.input).zip(&output.bytes);
        for ((portion, input), bytes) in columns {
            let owner = input.checked_sub(1).map_or(linker, |input| input as usize);
            list[owner].written[kinds[*portion as usize]] += bytes;
        }
    }
    list
}

/// By row of [`Profile::groups`], and at the end those of the linker itself.
pub fn of_groups(profile: &Profile) -> Vec<Figures> {
    let inputs = of_inputs(profile);
    let mut list = vec![Figures::default(); profile.groups.len() + 1];
    for (n, figures) in inputs.iter().enumerate() {
        let group = profile.inputs.group.get(n).map_or(profile.groups.len(), |group| *group as usize);
        list[group].add(figures);
    }
    list
}

/// Own time of all stages but waiting: the work of the run.
pub fn work(profile: &Profile) -> u64 {
    profile.stages.iter().filter(|stage| !stage.is_wait()).map(|stage| stage.busy).sum()
}

/// Bytes of all outputs.
pub fn output_size(profile: &Profile) -> u64 {
    profile.outputs.iter().map(|output| output.size).sum()
}

/// Bytes of all outputs by kind.
pub fn written(profile: &Profile) -> Bytes {
    let mut sum = Bytes::default();
    for output in &profile.outputs {
        for (portion, _, bytes) in output.rows() {
            sum[kind_number(&portion.kind)] += bytes;
        }
    }
    sum
}

/// A size for people.
pub fn size(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        1_000_000..10_000_000_000 => format!("{:.1} MB", bytes as f64 / 1e6),
        _ => format!("{:.1} GB", bytes as f64 / 1e9),
    }
}

/// A time for people.
pub fn time(nanoseconds: u64) -> String {
    match nanoseconds {
        0..1_000_000 => format!("{:.0} us", nanoseconds as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} ms", nanoseconds as f64 / 1e6),
        _ => format!("{:.2} s", nanoseconds as f64 / 1e9),
    }
}

/// A part of a whole, in percent.
pub fn percent(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 * 100.0 / whole as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::{Group, Output, Portion};

    #[test]
    fn what_is_written_adds_up_by_input_and_group() {
        let groups = vec![Group { name: "a".into(), ..Group::default() }];
        let mut profile = Profile { groups, ..Profile::default() };
        let inputs = &mut profile.inputs;
        (inputs.file, inputs.member, inputs.group, inputs.fate) =
            (vec![0; 2], vec![0; 2], vec![0; 2], vec![0, 1]);
        (inputs.read, inputs.time) = (vec![100, 200], vec![7, 8]);
        (inputs.unreferenced, inputs.comdat, inputs.folded) = (vec![1, 2], vec![0; 2], vec![0; 2]);
        (inputs.merged, inputs.unwind) = (vec![0; 2], vec![4, 0]);
        let portion = |name: &str, kind: &str| Portion { name: name.into(), kind: kind.into() };
        profile.outputs = vec![Output {
            path: "out".into(),
            size: 60,
            portions: vec![portion(".text", "code"), portion(".bss", "bss"), portion("(headers)", "other")],
            portion: vec![0, 1, 2],
            input: vec![1, 1, 0],
            bytes: vec![50, 1000, 10],
        }];
        let groups = of_groups(&profile);
        assert_eq!((groups[0].in_file(), groups[1].in_file()), (50, 10));
        assert_eq!((groups[0].read, groups[0].lost(), groups[0].time), (300, 7, 15));
        assert_eq!((groups[0].inputs, groups[0].linked), (2, 1));
        assert_eq!(in_file(&written(&profile)), profile.outputs[0].size);
    }

    #[test]
    fn numbers_are_for_people() {
        assert_eq!([size(999), size(1_500), size(2_340_000)], ["999 B", "1.5 kB", "2.3 MB"]);
        assert_eq!([time(1_500), time(2_340_000), time(1_234_000_000)], ["2 us", "2.3 ms", "1.23 s"]);
    }
}
