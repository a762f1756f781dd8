//! `paxos-bench growth`.

use anyhow::{Context, bail};
use paxos_bench::growth::{CurveName, Growth, Point, Visit};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// How cost grows: writes on fresh servers, while clients, values, keys, nodes, voters or replicas
/// become more, and beside snapshots. A step that costs more than what has grown explains is a
/// cliff; the table says by which rule. Exit code 0: done; 1: failed, or, with `--check`, there is
/// a cliff, or a point that failed.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// What grows; everything, unless given.
    #[arg(long, value_enum, value_delimiter = ',', value_name = "NAME,…")]
    curves: Vec<CurveName>,
    /// Only these points of the curves, as the table names them.
    #[arg(long, value_delimiter = ',', value_name = "NAME,…")]
    points: Vec<String>,
    /// How often each point is measured, the points of a curve in turn. Medians are reported.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=1000))]
    rounds: u16,
    /// How long a load is measured each time, after a second of warm-up.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    seconds: u64,
    /// Data goes into new directories in this one, which are removed.
    #[arg(long, default_value = ".")]
    directory: PathBuf,
    /// The server of this store; without it, the one beside this program, or in `PATH`.
    #[arg(long)]
    paxos_kv: Option<PathBuf>,
    /// Print one line of JSON.
    #[arg(long)]
    json: bool,
    /// Draw each curve into a file of its own in this directory as well.
    #[cfg(feature = "plots")]
    #[arg(long, value_name = "DIR")]
    svg: Option<PathBuf>,
    /// Exit with 1 when there is a cliff, or a point failed.
    #[arg(long)]
    check: bool,
}

/// Measures, and checks if that is asked for.
#[tokio::main]
pub async fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    super::warn_of_debug_build();
    let growth = Growth {
        paxos_kv: super::our_server(arguments.paxos_kv.as_deref())?,
        curves: curves(&arguments.curves, &arguments.points)?,
        rounds: arguments.rounds.into(),
        time: Duration::from_secs(arguments.seconds),
        directory: arguments.directory.clone(),
    };
    let tell = |curve: CurveName, point: &Point, visit: &Visit| {
        let found = match visit {
            Ok(sample) => super::figures(sample),
            Err(error) => format!("  FAILED: {error}"),
        };
        super::tell(format_args!("{:<10} {:>8}{found}", curve.name(), point.name));
    };
    let summary = growth.run(tell).await;
    #[cfg(feature = "plots")]
    if let Some(directory) = &arguments.svg {
        for (name, svg) in summary.svgs().map_err(anyhow::Error::msg)? {
            let file = directory.join(format!("{name}.svg"));
            let cannot = || format!("cannot write {}", file.display());
            std::fs::write(&file, svg).with_context(cannot)?;
        }
    }
    super::print_report(&summary, arguments.json)?;
    let is_wrong = arguments.check && !summary.wrong().is_empty();
    Ok(if is_wrong { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// What was asked for: each curve with those of its points that were named.
fn curves(curves: &[CurveName], wanted: &[String]) -> anyhow::Result<Vec<(CurveName, Vec<Point>)>> {
    let curves = if curves.is_empty() { &CurveName::ALL[..] } else { curves };
    let all = || curves.iter().flat_map(|curve| curve.points());
    if let Some(unknown) = wanted.iter().find(|name| all().all(|point| point.name != **name)) {
        let names: Vec<&str> = all().map(|point| point.name).collect();
        bail!("there is no point {unknown} in these curves; there are {}", names.join(", "));
    }
    let is_wanted = |point: &Point| wanted.is_empty() || wanted.iter().any(|it| it == point.name);
    let points = |curve: &CurveName| curve.points().into_iter().filter(is_wanted).collect();
    let found = curves.iter().map(|curve| (*curve, points(curve)));
    Ok(found.filter(|(_, points): &(_, Vec<Point>)| !points.is_empty()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(wanted: &[&str], of: &[CurveName]) -> Result<Vec<(&'static str, usize)>, String> {
        let wanted: Vec<String> = wanted.iter().map(|name| (*name).to_owned()).collect();
        let found = curves(of, &wanted).map_err(|error| error.to_string())?;
        Ok(found.iter().map(|(curve, points)| (curve.name(), points.len())).collect())
    }

    #[test]
    fn curves_and_points_are_what_was_asked_for() {
        assert_eq!(names(&[], &[]).unwrap().len(), 7);
        let two = [CurveName::Nodes, CurveName::Voters];
        assert_eq!(names(&[], &two).unwrap(), [("nodes", 3), ("voters", 2)]);
        assert_eq!(names(&["5", "3"], &two).unwrap(), [("nodes", 2)]);
        let error = names(&["4"], &two).unwrap_err();
        assert_eq!(error, "there is no point 4 in these curves; there are 3, 5, 7, +0, +2");
    }
}
