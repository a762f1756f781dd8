//! What a comparison found, as a picture: a bar for each ratio, with what must be and should be.

use super::row::{Against, Verdict};
use super::summary::{Judged, Measured, Summary};
use plotters::prelude::*;

pub(crate) const WIDTH: i32 = 1000;
/// Where 1, as good as the other, stands.
const ONE_AT: i32 = 520;
/// Pixels for each factor of ten.
const DECADE: f64 = 220.0;
pub(crate) const ROW: i32 = 22;
pub(crate) const HEAD: i32 = 60;

impl Summary {
    /// The ratios as a picture in SVG, on a logarithmic scale.
    pub fn svg(&self) -> Result<String, String> {
        let pairs: Vec<(&Measured, &Judged)> =
            self.rows.iter().flat_map(|row| row.targets.iter().map(move |at| (row, at))).collect();
        let height = HEAD + ROW * pairs.len() as i32 + ROW;
        let mut svg = String::new();
        let root = SVGBackend::with_string(&mut svg, (WIDTH as u32, height as u32));
        let root = root.into_drawing_area();
        draw(self, &pairs, height, &root).map_err(|error| error.to_string())?;
        drop(root);
        Ok(svg)
    }
}

pub(crate) type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;
pub(crate) type Drawn<'a> =
    Result<(), DrawingAreaErrorKind<<SVGBackend<'a> as DrawingBackend>::ErrorType>>;

fn draw<'a>(
    summary: &Summary,
    pairs: &[(&Measured, &Judged)],
    height: i32,
    root: &Area<'a>,
) -> Drawn<'a> {
    root.fill(&WHITE)?;
    let text = ("sans-serif", 13).into_font();
    let title = "How many times as good paxos-kv is; red: must be, green: should be";
    root.draw(&Text::new(title, (10, 8), text.clone()))?;
    root.draw(&Text::new(summary.machine.to_string(), (10, 26), text.clone()))?;
    for factor in [0.1, 1.0, 10.0, 100.0] {
        let at = x(factor);
        root.draw(&PathElement::new([(at, HEAD - 4), (at, height - ROW)], BLACK.mix(0.3)))?;
        root.draw(&Text::new(factor.to_string(), (at - 6, height - ROW + 2), text.clone()))?;
    }
    for (at, (row, judged)) in (0..).zip(pairs) {
        let top = HEAD + at * ROW;
        let other = match judged.target.against {
            Against::Peer => row.peer.name(),
            Against::BareLoop => "bare loop",
            Against::Amount(_) => "limit",
        };
        let name = format!("{}: {} ÷ {other}", row.row, judged.target.figure.name());
        root.draw(&Text::new(name, (10, top + 3), text.clone()))?;
        let Some(ratio) = judged.ratio else { continue };
        let colour = if judged.verdict == Verdict::Missed { RED } else { BLUE };
        let bar = [(ONE_AT, top + 2), (x(ratio), top + ROW - 4)];
        root.draw(&Rectangle::new(bar, colour.mix(0.5).filled()))?;
        root.draw(&Text::new(format!("{ratio:.2}"), (WIDTH - 60, top + 3), text.clone()))?;
        for (mark, colour) in [(judged.target.must, RED), (judged.target.goal, GREEN)] {
            if let Some(mark) = mark {
                let line = [(x(mark), top), (x(mark), top + ROW - 2)];
                root.draw(&PathElement::new(line, colour.stroke_width(2)))?;
            }
        }
    }
    root.present()
}

/// Where a ratio stands; what would be outside stands at the border.
fn x(ratio: f64) -> i32 {
    let offset = (ratio.max(1e-9).log10() * DECADE).clamp(-DECADE, 2.0 * DECADE - 40.0);
    ONE_AT + offset as i32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_stand_on_a_logarithmic_scale_within_the_picture() {
        assert_eq!(x(1.0), ONE_AT);
        assert_eq!(x(10.0) - ONE_AT, ONE_AT - x(0.1));
        assert!(x(0.0) > 0 && x(f64::INFINITY) < WIDTH);
    }
}
