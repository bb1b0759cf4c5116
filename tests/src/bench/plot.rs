//! The plots of `docs/performance.md`: SVG, drawn from the rows of one run.

use std::{fmt::Write as _, fs, path::Path};

use anyhow::{Context, Result};

use super::report;

const WIDTH: f64 = 860.0;
const FONT: &str = "font-family=\"sans-serif\" font-size=\"13\"";
/// Of filters of ours, of others, and of bare programs.
const COLOURS: [&str; 3] = ["#1f6f8b", "#b08a3e", "#8c8c8c"];
/// A bar with its gap, and the room of its name.
const BAR: f64 = 20.0;
const NAMES: f64 = 330.0;

/// A line of a plot: what it is called, and the row at each place of the axis.
type Series = (&'static str, [&'static str; 3]);

/// What grows, what the axis says, and the lines.
const SCALING: [(&str, [&str; 3], &[Series]); 2] = [
    (
        "prefixes in force",
        ["50", "10,000", "1,000,000"],
        &[
            ("one number", ["deep prefix of 50", "deep prefix of 10,000", "deep prefix of 1,000,000"]),
            (
                "50, 10,000 and 65,536 numbers",
                [
                    "deep prefix of 50, as many numbers",
                    "deep prefix of 10,000, as many numbers",
                    "deep prefix of 1,000,000, 65,536 numbers",
                ],
            ),
        ],
    ),
    (
        "sources",
        ["1", "10,000", "1,000,000"],
        &[
            (
                "country-blocked",
                ["country-blocked", "country-blocked, 10,000 sources", "country-blocked, 1,000,000 sources"],
            ),
            (
                "allowed, with its limits",
                [
                    "allowed, numbers and Call-IDs vary",
                    "allowed, the same and 10,000 sources",
                    "allowed, the same and 1,000,000 sources",
                ],
            ),
        ],
    ),
];

/// Writes the plots into a folder.
///
/// # Errors
/// Where a file cannot be written.
pub fn write(folder: &Path, results: &[report::Result]) -> Result<()> {
    let mut plots = vec![("performance-rates.svg".to_owned(), rates(results))];
    for (grows, places, series) in SCALING {
        if let Some(plot) = scaling(results, grows, places, series) {
            let name = grows.split(' ').next().unwrap_or(grows);
            plots.push((format!("performance-{name}.svg"), plot));
        }
    }
    for (name, plot) in plots {
        let file = folder.join(name);
        fs::write(&file, plot).with_context(|| format!("cannot write {}", file.display()))?;
    }
    Ok(())
}

/// A bar a row: millions of packets a second.
fn rates(results: &[report::Result]) -> String {
    let most = results.iter().map(|result| result.mpps).fold(0.0, f64::max);
    let scale = (WIDTH - NAMES - 70.0) / most.max(1.0);
    let mut plot = String::new();
    for (result, place) in results.iter().zip(1..) {
        let y = f64::from(place) * BAR;
        let colour = match (result.reason, result.test_run_ns.is_nan()) {
            (Some(_), _) => COLOURS[0],
            (None, true) => COLOURS[1],
            (None, false) => COLOURS[2],
        };
        let length = (result.mpps * scale).max(1.0);
        text(&mut plot, NAMES - 8.0, y + 12.0, "end", &result.row);
        // Writing to a String cannot fail.
        let _ =
            writeln!(plot, "<rect x=\"{NAMES}\" y=\"{y:.0}\" width=\"{length:.1}\" height=\"15\" fill=\"{colour}\"/>");
        let figure = if result.mpps < 0.1 { format!("{:.3}", result.mpps) } else { format!("{:.2}", result.mpps) };
        text(&mut plot, NAMES + length + 6.0, y + 12.0, "start", &figure);
    }
    let height = BAR * (results.len() as f64 + 2.5);
    text(&mut plot, NAMES, height - 12.0, "start", "millions of packets a second, one CPU, generator included");
    svg(height, &plot)
}

/// Added nanoseconds over three sizes; none where a row was not measured.
fn scaling(results: &[report::Result], grows: &str, places: [&str; 3], series: &[Series]) -> Option<String> {
    const HEIGHT: f64 = 320.0;
    let (left, right, top, bottom) = (70.0, WIDTH - 270.0, 20.0, HEIGHT - 55.0);
    let added = |row: &str| Some(results.iter().find(|result| result.row == row)?.added_ns);
    let lines: Vec<(&str, Vec<f64>)> = series
        .iter()
        .map(|(name, rows)| Some((*name, rows.iter().map(|row| added(row)).collect::<Option<_>>()?)))
        .collect::<Option<_>>()?;
    let step: f64 = 100.0;
    let most = lines.iter().flat_map(|(_, values)| values).copied().fold(step, f64::max);
    let most = (most / step).ceil() * step;
    let x = |place: usize| left + (right - left) * place as f64 / 2.0;
    let y = |value: f64| bottom - (bottom - top) * value.max(0.0) / most;
    let mut plot = String::new();
    for fifth in 0..=5 {
        let value = most * f64::from(fifth) / 5.0;
        let at = y(value);
        let _ = writeln!(plot, "<path d=\"M{left} {at:.1}H{right}\" stroke=\"#ddd\"/>");
        text(&mut plot, left - 8.0, at + 4.0, "end", &format!("{value:.0}"));
    }
    for (place, name) in places.iter().enumerate() {
        text(&mut plot, x(place), bottom + 20.0, "middle", name);
    }
    text(
        &mut plot,
        f64::midpoint(left, right),
        bottom + 42.0,
        "middle",
        &format!("{grows}; nanoseconds added to a bare program"),
    );
    for ((name, values), colour) in lines.iter().zip(COLOURS) {
        let points: Vec<String> =
            values.iter().enumerate().map(|(place, &value)| format!("{:.1},{:.1}", x(place), y(value))).collect();
        let _ = writeln!(
            plot,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>",
            points.join(" ")
        );
        for point in &points {
            if let Some((at_x, at_y)) = point.split_once(',') {
                let _ = writeln!(plot, "<circle cx=\"{at_x}\" cy=\"{at_y}\" r=\"4\" fill=\"{colour}\"/>");
            }
        }
        text(&mut plot, right + 12.0, y(values.last().copied().unwrap_or_default()) + 4.0, "start", name);
    }
    Some(svg(HEIGHT, &plot))
}

fn text(plot: &mut String, x: f64, y: f64, anchor: &str, text: &str) {
    let _ = writeln!(plot, "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{text}</text>");
}

fn svg(height: f64, plot: &str) -> String {
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height:.0}\" {FONT}>\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n{plot}</svg>\n"
    )
}

#[cfg(test)]
mod tests {
    use gateway_user::daemon::AttachMode;

    use super::*;
    use crate::bench::{report::Runs, rows, traffic::Bare};

    fn results() -> Vec<report::Result> {
        let mut runs = Runs::default();
        runs.add(100.0);
        let row = |name| report::Result::new(name, Bare::Drop, AttachMode::Driver, [&runs, &runs, &runs, &runs]);
        rows::all().into_iter().map(|measured| row(measured.name)).collect()
    }

    #[test]
    fn every_plot_is_drawn_from_the_rows_that_there_are() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), &results()).unwrap();
        for (name, marks) in [("rates", rows::all().len() + 1), ("prefixes", 1), ("sources", 1)] {
            let plot = fs::read_to_string(folder.path().join(format!("performance-{name}.svg"))).unwrap();
            assert_eq!(plot.matches("<rect").count(), marks, "{name}");
            assert!(plot.starts_with("<svg ") && !plot.contains("NaN"), "{plot}");
        }
    }

    #[test]
    fn a_run_of_few_rows_has_no_plot_of_scaling() {
        let (grows, places, series) = SCALING[0];
        assert!(scaling(&results()[..2], grows, places, series).is_none());
    }
}
