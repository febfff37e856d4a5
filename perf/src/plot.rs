//! A comparison as pictures: one SVG a workload, in it one panel for each place and number of threads.
//!
//! A panel has two bars a linker, wall time and processor time (minima), and a line at what `cp` of the
//! output takes. Linkers that fork are shown as users run them.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};
use plotters::coord::Shift;
use plotters::prelude::*;

use crate::compare::{Comparison, Group};
use crate::linkers::Mode;
use crate::report::Summary;

const PANEL: (u32, u32) = (460, 300);
const WALL: RGBColor = RGBColor(31, 102, 168);
const CPU: RGBColor = RGBColor(240, 153, 64);

/// Draws `comparison` into `folder`; returns the files.
pub fn draw(comparison: &Comparison, folder: &Path) -> Result<Vec<PathBuf>> {
    fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let mut names: Vec<_> = comparison.groups.iter().map(|group| group.corpus.name.as_str()).collect();
    names.dedup();
    let mut files = Vec::new();
    for name in names {
        let groups: Vec<_> = comparison.groups.iter().filter(|group| group.corpus.name == name).collect();
        let file = folder.join(format!("{name}.svg"));
        picture(&groups, &file).with_context(|| format!("cannot draw {}", file.display()))?;
        files.push(file);
    }
    Ok(files)
}

fn picture(groups: &[&Group], file: &Path) -> Result<()> {
    let columns = groups.len().clamp(1, 2);
    let rows = groups.len().div_ceil(columns);
    let size = (PANEL.0 * u32::try_from(columns)?, PANEL.1 * u32::try_from(rows)?);
    let area = SVGBackend::new(file, size).into_drawing_area();
    // The errors of the backend borrow the file name, so they are kept as text.
    let text = |error: &dyn std::fmt::Display| anyhow!("{error}");
    area.fill(&WHITE).map_err(|error| text(&error))?;
    for (panel, group) in area.split_evenly((rows, columns)).iter().zip(groups) {
        draw_panel(panel, group).map_err(|error| text(&error))?;
    }
    area.present().map_err(|error| text(&error))
}

/// Minima of wall and processor time of each linker that did not fail.
fn bars(group: &Group) -> Vec<(&str, f64, f64)> {
    let usual = group.contenders.iter().filter(|one| one.mode == Mode::Usual && one.failure.is_none());
    usual
        .filter_map(|one| {
            let (wall, cpu) = (Summary::wall(&one.costs)?, Summary::cpu(&one.costs)?);
            Some((one.linker.as_str(), wall.min, cpu.min))
        })
        .collect()
}

fn draw_panel<B: DrawingBackend>(
    panel: &DrawingArea<B, Shift>,
    group: &Group,
) -> Result<(), DrawingAreaErrorKind<B::ErrorType>> {
    let bars = bars(group);
    let highest = bars.iter().flat_map(|&(_, wall, cpu)| [wall, cpu]).fold(1.0, f64::max);
    let threads =
        if group.threads == 1 { "1 thread".to_owned() } else { format!("{} threads", group.threads) };
    let count = i32::try_from(bars.len()).unwrap_or(i32::MAX);
    // A segmented axis has one segment more than its range is long.
    let mut chart = ChartBuilder::on(panel)
        .caption(format!("{}, output on {}, {threads}", group.corpus.name, group.place), ("sans-serif", 15))
        .margin(10)
        .x_label_area_size(24)
        .y_label_area_size(56)
        .build_cartesian_2d((0..(count - 1).max(0)).into_segmented(), 0.0..highest * 1.12)?;
    let name = |place: &SegmentValue<i32>| match place {
        SegmentValue::CenterOf(index) => {
            let bar = usize::try_from(*index).ok().and_then(|index| bars.get(index));
            bar.map_or(String::new(), |bar| bar.0.to_owned())
        }
        _ => String::new(),
    };
    chart
        .configure_mesh()
        .disable_x_mesh()
        .light_line_style(WHITE)
        .y_desc("ms, least of all runs")
        .x_label_formatter(&name)
        .draw()?;

    let bar = |index: i32, value: f64, margins: (u32, u32), colour: RGBColor| {
        let corners = [(SegmentValue::Exact(index), 0.0), (SegmentValue::Exact(index + 1), value)];
        let mut rectangle = Rectangle::new(corners, colour.filled());
        rectangle.set_margin(0, 0, margins.0, margins.1);
        rectangle
    };
    let width = PANEL.0.saturating_sub(76) / u32::try_from(bars.len().max(1)).unwrap_or(u32::MAX);
    let (edge, half) = (width / 8, width / 2);
    chart
        .draw_series((0..).zip(&bars).map(|(index, one)| bar(index, one.1, (edge, half), WALL)))?
        .label("wall")
        .legend(|(x, y)| Rectangle::new([(x, y - 4), (x + 10, y + 4)], WALL.filled()));
    chart
        .draw_series((0..).zip(&bars).map(|(index, one)| bar(index, one.2, (half, edge), CPU)))?
        .label("processors")
        .legend(|(x, y)| Rectangle::new([(x, y - 4), (x + 10, y + 4)], CPU.filled()));
    if let Some(floor) = Summary::wall(&group.copies) {
        let ends = [(SegmentValue::Exact(0), floor.min), (SegmentValue::Exact(count), floor.min)];
        chart
            .draw_series(LineSeries::new(ends, BLACK.stroke_width(1)))?
            .label("cp")
            .legend(|(x, y)| PathElement::new([(x, y), (x + 10, y)], BLACK));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .background_style(WHITE.mix(0.8))
        .draw()
}
