//! The command line: what can be asked, and who does it.

mod action;
mod config;
mod dev;
pub(crate) mod failure;
mod logging;
pub(crate) mod print;
mod prompt;
#[cfg(test)]
mod readme;
mod scan;
mod serve;
mod settings;

use self::action::{Action, CasArgs, KeyArgs, NoArgs, PutArgs, ScanArgs};
use self::config::ConfigCommand;
use self::failure::Failure;
use self::print::Format;
use clap::{ArgMatches, Args, Parser, Subcommand};
use paxos_core::Timing;
use paxos_kv::{KvClient, KvError};
use std::thread;
use std::time::{Duration, Instant};

/// How long a cluster that has just been started may take to listen, and how often it is tried.
const LISTENS_WITHIN: Duration = Duration::from_secs(2);
const TRY_AGAIN: Duration = Duration::from_millis(50);

const EXAMPLES: &str = "\
Examples:
  paxos-kv dev                          a cluster of three nodes in this process
  paxos-kv dev --processes              the same as three processes, to kill and start again
  paxos-kv put colour blue              give a key a value
  paxos-kv get colour                   print its value
  paxos-kv cas colour --expect blue green
  paxos-kv del colour
  paxos-kv scan users/ --limit 10       all keys that begin so, and their values
  paxos-kv status -o table              how are the nodes?
  paxos-kv config check --config FILE   what would a node be told?
  seq 9 | paxos-kv put numbers -        a value from standard input

Exit codes: 0 done; 1 refused, failed, or no such key; 2 wrong usage; 3 outcome unknown.";

/// A durable, linearizable, replicated key-value store.
#[derive(Debug, Parser)]
#[command(version, after_help = EXAMPLES)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run one node of a cluster.
    Serve(serve::ServeArgs),
    /// Look at the settings of a node.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Run a whole durable cluster, for development: in this process, or in one for each node.
    Dev(dev::DevArgs),
    /// Give a key a value.
    Put(Remote<PutArgs>),
    /// Print the value of a key.
    Get(Remote<KeyArgs>),
    /// Remove a key.
    Del(Remote<KeyArgs>),
    /// Give a key a value, if it is as expected.
    Cas(Remote<CasArgs>),
    /// Print all keys that begin with a prefix, in order: a key, a tab and its value a line.
    ///
    /// All of it is of one moment. Control characters are escaped, except in JSON.
    Scan(Remote<ScanArgs>),
    /// Tell how each node is.
    Status(Remote<NoArgs>),
}

/// An action of a client, and where it is done.
#[derive(Debug, Args)]
struct Remote<A: Args> {
    #[command(flatten)]
    action: A,
    /// Client ports of nodes of one cluster, in order of preference.
    #[arg(
        long,
        env = "PAXOS_KV_ENDPOINTS",
        value_name = "HOST:PORT,…",
        value_delimiter = ',',
        value_parser = endpoint,
        default_value = "127.0.0.1:2579"
    )]
    endpoints: Vec<String>,
    /// How to print what comes of it.
    #[arg(short, long, value_enum, default_value_t = Format::Plain)]
    output: Format,
}

/// How long roles wait.
#[derive(Debug, Args)]
struct TimingArgs {
    /// A leader is heard from at least this often.
    #[arg(long, value_name = "MS", default_value_t = 50)]
    heartbeat_ms: u64,
    /// A leader that is silent for one to two of these is replaced.
    #[arg(long, value_name = "MS", default_value_t = 300)]
    election_timeout_ms: u64,
}

impl TimingArgs {
    fn timing(&self) -> Result<Timing, Failure> {
        Timing::new(self.heartbeat_ms, self.election_timeout_ms)
            .map_err(|error| Failure::Usage(error.to_string()))
    }
}

/// Does what was asked. `matches` has the same, and knows where each argument came from.
pub(crate) fn run(cli: Cli, matches: &ArgMatches) -> Result<(), Failure> {
    let mut given = matches;
    while let Some((_, more)) = given.subcommand() {
        given = more;
    }
    match cli.command {
        Command::Serve(args) => serve::run(args, given),
        Command::Config(command) => config::run(command, given),
        Command::Dev(args) => dev::run(args),
        Command::Put(remote) => remote.run(Action::Put),
        Command::Get(remote) => remote.run(Action::Get),
        Command::Del(remote) => remote.run(Action::Del),
        Command::Cas(remote) => remote.run(Action::Cas),
        Command::Scan(remote) => remote.run(Action::Scan),
        Command::Status(remote) => remote.run(|NoArgs {}| Action::Status),
    }
}

impl<A: Args> Remote<A> {
    fn run(self, action: impl FnOnce(A) -> Action) -> Result<(), Failure> {
        let Remote { action: args, endpoints, output } = self;
        let runtime = tokio::runtime::Builder::new_current_thread().build()?;
        runtime.block_on(async {
            let client = connect(endpoints).await?;
            action(args).run(&client, output).await
        })
    }
}

/// Whoever starts nodes and goes on at once, as a script does, need not sleep in between.
async fn connect(endpoints: Vec<String>) -> Result<KvClient, KvError> {
    let began = Instant::now();
    loop {
        match KvClient::connect(endpoints.clone()).await {
            // Nothing else runs on this thread.
            Err(KvError::Unavailable(_)) if began.elapsed() < LISTENS_WITHIN => {
                thread::sleep(TRY_AGAIN);
            }
            connected => return connected,
        }
    }
}

fn endpoint(text: &str) -> Result<String, String> {
    match is_host_port(text) {
        true => Ok(text.to_owned()),
        false => Err(format!("\"{text}\" is not HOST:PORT, as in 127.0.0.1:2579")),
    }
}

/// Whether it can be an address. That of a web page, for one, cannot.
fn is_host_port(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else { return false };
    let is_name = |c: char| !c.is_whitespace() && c != '/';
    !host.is_empty() && host.chars().all(is_name) && port.parse::<u16>().is_ok()
}
