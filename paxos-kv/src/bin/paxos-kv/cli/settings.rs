//! The settings of a node: what they are called, where each comes from, and whether they are sound.
//!
//! A setting is one field of [`Settings`]. Its flag, its variable, its key in the file and its line
//! in `config check` follow from that. A value is taken from the first of these that has one: the
//! flag, the environment, the file, the default.

mod cluster;
mod file;
mod text;

use self::cluster::Cluster;
use self::text::Text;
use super::failure::Failure;
use super::logging::{LogFormat, LogLevel};
use clap::parser::ValueSource;
use clap::{ArgMatches, Args};
use paxos_core::{NodeId, QuorumRule, Roles, Timing};
use paxos_kv::server::ServerOptions;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::fmt;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;

/// What may be logged between two snapshots.
const SNAPSHOT_LOG_MIB: RangeInclusive<u64> = 1..=1 << 20;

/// What `serve` and `config check` are given.
#[derive(Debug, Args)]
pub(super) struct SettingsArgs {
    /// A TOML file with settings, named like the flags; flags and the environment go before it.
    #[arg(long, env = "PAXOS_KV_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    settings: Settings,
}

/// The settings. Each place that they come from may leave any of them open.
#[derive(Debug, Default, Args, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Settings {
    /// This node's number in the initial cluster.
    #[arg(long, env = "PAXOS_KV_ID", value_name = "N")]
    id: Option<u64>,
    /// The directory of its data, for this node alone; made where there is none.
    #[arg(long, env = "PAXOS_KV_DATA_DIR", value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Where clients connect to.
    #[arg(long, env = "PAXOS_KV_LISTEN_CLIENT", value_name = "ADDR")]
    #[arg(default_value = "127.0.0.1:2579")]
    listen_client: Option<SocketAddr>,
    /// Where peers connect to.
    #[arg(long, env = "PAXOS_KV_LISTEN_PEER", value_name = "ADDR")]
    #[arg(default_value = "127.0.0.1:2580")]
    listen_peer: Option<SocketAddr>,
    /// All first nodes, this one too, and where their peers reach them. The same on each of them.
    /// A node has all roles, or those behind its number: 4/acceptor=HOST:PORT,
    /// 5/proposer+learner=HOST:PORT; 6/learner@4 is fed by the acceptor of node 4. In the file it
    /// is a table: [initial-cluster], then 1 = "HOST:PORT" and "4/acceptor" = "HOST:PORT".
    #[arg(long, env = "PAXOS_KV_INITIAL_CLUSTER", value_name = "1=HOST:PORT,2=…")]
    initial_cluster: Option<Cluster>,
    /// What this node is to be, if not what the initial cluster says: it is refused if they differ.
    #[arg(long, env = "PAXOS_KV_ROLES", value_name = "proposer,acceptor,learner")]
    roles: Option<Text<Roles>>,
    /// Which acceptors must agree: majority, the sizes of phase-1 and phase-2 quorums (4,2), or
    /// rows and columns of a grid (2x3). The same on each node.
    #[arg(long, env = "PAXOS_KV_QUORUMS", value_name = "RULE", default_value = "majority")]
    quorums: Option<Text<QuorumRule>>,
    /// A leader is heard from at least this often.
    #[arg(long, env = "PAXOS_KV_HEARTBEAT_MS", value_name = "MS", default_value = "50")]
    heartbeat_ms: Option<u64>,
    /// A leader that is silent for one to two of these is replaced.
    #[arg(long, env = "PAXOS_KV_ELECTION_TIMEOUT_MS", value_name = "MS", default_value = "300")]
    election_timeout_ms: Option<u64>,
    /// A snapshot is written, and the log before the one before it is forgotten, each time that so
    /// many MiB were logged; later, where the last snapshot was larger.
    #[arg(long, env = "PAXOS_KV_SNAPSHOT_LOG_MIB", value_name = "MIB", default_value = "64")]
    snapshot_log_mib: Option<u64>,
    /// What to log: off, error, warn, info, debug or trace, or a filter like `paxos_net=debug`.
    #[arg(long, env = "PAXOS_KV_LOG_LEVEL", value_name = "LEVEL", default_value = "info")]
    log_level: Option<LogLevel>,
    /// How to log.
    #[arg(long, env = "PAXOS_KV_LOG_FORMAT", value_enum, default_value = "text")]
    log_format: Option<LogFormat>,
}

/// What the settings amount to.
#[derive(Debug)]
pub(super) struct Sound {
    pub(super) server: ServerOptions,
    /// What is allowed, and is hardly what was meant.
    pub(super) warnings: Vec<String>,
    pub(super) log_level: LogLevel,
    pub(super) log_format: LogFormat,
}

/// The settings, and where each comes from.
#[derive(Debug)]
pub(super) struct Merged {
    settings: Settings,
    /// In the order of their names.
    pub(super) each: Vec<Setting>,
}

/// One setting.
#[derive(Debug)]
pub(super) struct Setting {
    pub(super) key: String,
    pub(super) value: Value,
    pub(super) source: Source,
}

/// Where a setting comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase", tag = "from")]
pub(super) enum Source {
    /// It has no value.
    Unset,
    Default,
    File {
        path: PathBuf,
    },
    Environment {
        name: String,
    },
    Flag,
}

impl SettingsArgs {
    /// Adds what the file says, unless a flag or the environment says it. `matches` has the same
    /// arguments, and knows where each came from.
    pub(super) fn merge(self, matches: &ArgMatches) -> Result<Merged, Failure> {
        let path = self.config.unwrap_or_default();
        let mut in_file = match path.as_os_str().is_empty() {
            true => Map::new(),
            false => table(&file::read(&path)?)?,
        };
        let mut each = Vec::new();
        for (key, given) in table(&self.settings)? {
            let filed = in_file.remove(&key).filter(|value| !value.is_null());
            let (value, source) = match (matches.value_source(&id(&key)), filed) {
                (Some(ValueSource::CommandLine), _) => (given, Source::Flag),
                (Some(ValueSource::EnvVariable), _) => {
                    (given, Source::Environment { name: variable(&key) })
                }
                (_, Some(filed)) => (filed, Source::File { path: path.clone() }),
                (Some(_), None) => (given, Source::Default),
                (None, None) => (Value::Null, Source::Unset),
            };
            each.push(Setting { key, value, source });
        }
        let merged = each.iter().map(|setting| (setting.key.clone(), setting.value.clone()));
        let settings = serde_json::from_value(merged.collect::<Map<_, _>>().into()).map_err(bad)?;
        Ok(Merged { settings, each })
    }
}

impl Merged {
    /// What a node is started with, or everything that keeps it from being started.
    pub(super) fn check(self) -> Result<Sound, Vec<String>> {
        let mut wrong = Vec::new();
        let Settings { heartbeat_ms, election_timeout_ms, snapshot_log_mib, .. } = self.settings;
        let node = needed("id", self.settings.id, &mut wrong);
        let data_dir = needed("data-dir", self.settings.data_dir, &mut wrong);
        if data_dir.as_ref().is_some_and(|dir| dir.as_os_str().is_empty()) {
            wrong.push("data-dir is empty: name a directory, \".\" for the current one".to_owned());
        }
        let listen_client = needed("listen-client", self.settings.listen_client, &mut wrong);
        let listen_peer = needed("listen-peer", self.settings.listen_peer, &mut wrong);
        let cluster = needed("initial-cluster", self.settings.initial_cluster, &mut wrong);
        let quorums = needed("quorums", self.settings.quorums, &mut wrong);
        let roles = self.settings.roles;
        let heartbeat_ms = needed("heartbeat-ms", heartbeat_ms, &mut wrong);
        let timeout_ms = needed("election-timeout-ms", election_timeout_ms, &mut wrong);
        let snapshot_log_mib = needed("snapshot-log-mib", snapshot_log_mib, &mut wrong);
        if snapshot_log_mib.is_some_and(|mib| !SNAPSHOT_LOG_MIB.contains(&mib)) {
            let (least, most) = SNAPSHOT_LOG_MIB.into_inner();
            wrong.push(format!("snapshot-log-mib must be from {least} to {most}"));
        }
        let log_level = needed("log-level", self.settings.log_level, &mut wrong);
        let log_format = needed("log-format", self.settings.log_format, &mut wrong);
        let timing = heartbeat_ms.zip(timeout_ms).and_then(|(heartbeat_ms, timeout_ms)| {
            Timing::new(heartbeat_ms, timeout_ms)
                .map_err(|error| wrong.push(error.to_string()))
                .ok()
        });
        let sound = || {
            let server = ServerOptions {
                node: NodeId(node?),
                data_dir: data_dir?,
                listen_client: listen_client?,
                listen_peer: listen_peer?,
                initial_cluster: cluster?.0,
                roles: roles.map(|roles| roles.0),
                quorums: quorums?.0,
                // Where timing itself is wrong, the rest is still looked at.
                timing: timing.unwrap_or_default(),
                // And so with this.
                snapshot_log_bytes: (snapshot_log_mib? << 20).max(1),
            };
            let warnings = server.warnings();
            Some(Sound { server, warnings, log_level: log_level?, log_format: log_format? })
        };
        let sound = sound();
        if let Some(Err(error)) = sound.as_ref().map(|sound| sound.server.check()) {
            wrong.push(error.to_string());
        }
        match sound {
            Some(sound) if wrong.is_empty() => Ok(sound),
            _ => Err(wrong),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Unset => write!(f, "not set"),
            Source::Default => write!(f, "default"),
            Source::File { path } => write!(f, "file {}", path.display()),
            Source::Environment { name } => write!(f, "environment {name}"),
            Source::Flag => write!(f, "flag"),
        }
    }
}

/// A setting that must have a value.
fn needed<T>(key: &str, value: Option<T>, wrong: &mut Vec<String>) -> Option<T> {
    if value.is_none() {
        let name = variable(key);
        wrong.push(format!("{key} is not set: give --{key}, {name}, or {key} in the file"));
    }
    value
}

/// Every setting by its name in the file, those without a value too.
fn table(settings: &Settings) -> Result<Map<String, Value>, Failure> {
    match serde_json::to_value(settings).map_err(bad)? {
        Value::Object(table) => Ok(table),
        other => Err(bad(other)),
    }
}

fn bad(what: impl fmt::Display) -> Failure {
    Failure::Unsound(vec![format!("a setting cannot be used: {what}")])
}

/// The name of an argument to clap.
fn id(key: &str) -> String {
    key.replace('-', "_")
}

/// The variable of a setting.
fn variable(key: &str) -> String {
    format!("PAXOS_KV_{}", id(key).to_uppercase())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Command;

    #[test]
    fn flags_variables_and_keys_are_named_alike() {
        let command = Settings::augment_args(Command::new("serve"));
        let keys = table(&Settings::default()).expect("it is a table");
        assert_eq!(command.get_arguments().count(), keys.len());
        for key in keys.keys() {
            let argument = command.get_arguments().find(|argument| *argument.get_id() == id(key));
            let argument = argument.unwrap_or_else(|| panic!("{key} has no flag"));
            assert_eq!(argument.get_long(), Some(key.as_str()));
            assert_eq!(argument.get_env(), Some(variable(key).as_ref()), "{key}");
        }
    }
}
