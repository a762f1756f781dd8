//! A curve as a picture: two bars for each point, how much is done and how long it takes.

use super::summary::{Curve, Measured, Summary};
use crate::compare::Figure;
use crate::compare::plot::{Area, Drawn, HEAD, ROW, WIDTH};
use plotters::prelude::*;

/// Where bars begin.
const BARS_AT: i32 = 180;
/// The longest bar.
const BAR: f64 = 620.0;

impl Summary {
    /// A picture in SVG of each curve, with the name of the curve.
    pub fn svgs(&self) -> Result<Vec<(&'static str, String)>, String> {
        let picture = |curve: &Curve| {
            let height = HEAD + 2 * ROW * curve.points.len() as i32 + ROW;
            let mut svg = String::new();
            let root = SVGBackend::with_string(&mut svg, (WIDTH as u32, height as u32));
            let root = root.into_drawing_area();
            draw(self, curve, &root).map_err(|error| error.to_string())?;
            drop(root);
            Ok((curve.curve.name(), svg))
        };
        self.curves.iter().map(picture).collect()
    }
}

fn draw<'a>(summary: &Summary, curve: &Curve, root: &Area<'a>) -> Drawn<'a> {
    root.fill(&WHITE)?;
    let text = ("sans-serif", 13).into_font();
    let title = format!("{}: requests/s, blue, red at a cliff; p99, grey", curve.curve.name());
    root.draw(&Text::new(title, (10, 8), text.clone()))?;
    root.draw(&Text::new(summary.machine.to_string(), (10, 26), text.clone()))?;
    for (at, point) in (0..).zip(&curve.points) {
        let top = HEAD + at * 2 * ROW;
        root.draw(&Text::new(point.point.name, (10, top + 3), text.clone()))?;
        if let Some(why) = &point.failed {
            let why = why.lines().next().unwrap_or_default();
            root.draw(&Text::new(format!("FAILED: {why}"), (BARS_AT, top + 3), text.clone()))?;
        }
        let colour = if point.cliff.is_some() { RED } else { BLUE };
        for (line, figure, colour) in [(0, Figure::OpsPerS, colour), (1, Figure::P99Us, BLACK)] {
            let Some(&value) = point.medians.get(&figure) else { continue };
            let top = top + line * ROW;
            let bar = [(BARS_AT, top + 2), (BARS_AT + length(curve, figure, value), top + ROW - 4)];
            let strength = if line == 0 { 0.5 } else { 0.2 };
            root.draw(&Rectangle::new(bar, colour.mix(strength).filled()))?;
            let value = format!("{value:.0} {}", figure.name());
            root.draw(&Text::new(value, (WIDTH - 180, top + 3), text.clone()))?;
        }
    }
    root.present()
}

/// How long the bar of a figure is: the largest of the curve fills the room.
fn length(curve: &Curve, figure: Figure, value: f64) -> i32 {
    let of = |point: &Measured| point.medians.get(&figure).copied().unwrap_or(0.0);
    let most = curve.points.iter().map(of).fold(f64::MIN_POSITIVE, f64::max);
    (BAR * value / most) as i32
}

#[cfg(test)]
mod tests {
    use super::super::summary::tests::summary;
    use super::*;

    #[test]
    fn each_curve_is_a_picture_with_every_point() {
        let summary = summary();
        let svgs = summary.svgs().unwrap();
        let (name, svg) = &svgs[0];
        assert_eq!((svgs.len(), *name), (1, "nodes"));
        assert!(svg.starts_with("<svg") && svg.contains("800 requests/s"), "{svg}");
        assert!(svg.contains("FAILED: it does not serve") && svg.contains("1234 p99"), "{svg}");
        let curve = &summary.curves[0];
        assert_eq!(length(curve, Figure::OpsPerS, 800.0), BAR as i32);
        assert_eq!(length(curve, Figure::OpsPerS, 200.0), BAR as i32 / 4);
    }
}
