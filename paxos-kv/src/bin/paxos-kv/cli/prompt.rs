//! The prompt of `paxos-kv dev`.

use super::action::Action;
use super::failure::Failure;
use super::print::{Format, complain, write};
use clap::{Parser, Subcommand};
use paxos_kv::KvClient;
use std::io::{self, BufRead};
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, oneshot};

/// A line at the prompt.
#[derive(Debug, Parser)]
#[command(multicall = true, disable_version_flag = true)]
struct Line {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    #[command(flatten)]
    Action(Action),
    /// Start a node that was killed, or has ended (with --processes).
    Start {
        /// The node.
        node: u16,
    },
    /// Kill a node as kill -9 does (with --processes).
    Kill {
        /// The node.
        node: u16,
    },
    /// Stop the cluster; its data stays.
    #[command(alias = "quit")]
    Exit,
}

/// What is to be done with a node.
#[derive(Clone, Copy, Debug)]
pub(super) enum Order {
    Start(u16),
    Kill(u16),
}

/// The way to whoever has the nodes; what comes of an order is for people.
pub(super) type Orders = mpsc::UnboundedSender<(Order, oneshot::Sender<String>)>;

/// Reads and runs commands until there are no more. Reading blocks, so it has its own thread.
pub(super) async fn run(client: KvClient, orders: Option<Orders>) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let (done, over) = oneshot::channel();
    std::thread::Builder::new().name("prompt".into()).spawn(move || {
        // Whoever waits for the end may be gone; then the process ends anyway.
        let _ = done.send(read_lines(|line| obey(&runtime, &client, &orders, line)));
    })?;
    Ok(over.await.unwrap_or(Ok(()))?)
}

/// `obey` says whether to go on.
fn read_lines(mut obey: impl FnMut(&str) -> bool) -> io::Result<()> {
    write(
        b"put KEY VALUE, get KEY, del KEY, cas KEY --expect VALUE NEW, scan PREFIX, status, help\n",
    )?;
    let mut line = String::new();
    loop {
        write(b"> ")?;
        line.clear();
        if io::stdin().lock().read_line(&mut line)? == 0 || !obey(&line) {
            return Ok(());
        }
    }
}

fn obey(runtime: &Runtime, client: &KvClient, orders: &Option<Orders>, line: &str) -> bool {
    let words = words(line);
    if words.is_empty() {
        return true;
    }
    match Line::try_parse_from(words) {
        // Help is an error to the parser, and tells by itself where to print it.
        Err(error) => drop(error.print()),
        Ok(Line { command: Command::Exit }) => return false,
        Ok(Line { command: Command::Start { node } }) => order(orders, Order::Start(node)),
        Ok(Line { command: Command::Kill { node } }) => order(orders, Order::Kill(node)),
        Ok(Line { command: Command::Action(action) }) => {
            if let Err(failure) = runtime.block_on(action.run(client, Format::Plain)) {
                complain(format_args!("error: {failure}"));
            }
        }
    }
    true
}

fn order(orders: &Option<Orders>, order: Order) {
    let Some(orders) = orders else {
        return complain("error: the nodes are in this process: run dev with --processes for that");
    };
    let (reply, answer) = oneshot::channel();
    // Whoever has the nodes is gone when the cluster stops.
    if orders.send((order, reply)).is_ok()
        && let Ok(answer) = answer.blocking_recv()
    {
        // The order was obeyed, whether that can be told or not.
        let _ = write(format!("{answer}\n").as_bytes());
    }
}

/// The words of a line; quotes keep spaces in a word.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    for character in line.trim().chars() {
        match (quote, character) {
            (Some(open), _) if character == open => quote = None,
            (None, '"' | '\'') => {
                quote = Some(character);
                word.get_or_insert_default();
            }
            (None, _) if character.is_whitespace() => words.extend(word.take()),
            _ => word.get_or_insert_default().push(character),
        }
    }
    words.extend(word);
    words
}

#[cfg(test)]
mod tests {
    use super::words;

    #[test]
    fn quotes_keep_spaces_in_a_word() {
        assert_eq!(words("put a  \"b c\" 'd\"e'\n"), ["put", "a", "b c", "d\"e"]);
        assert_eq!(words("put a \"\""), ["put", "a", ""]);
        assert_eq!(words(" \n"), [""; 0]);
    }
}
