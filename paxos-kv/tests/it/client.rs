//! The client library: shared by threads, on any runtime, and never wrong about what was done.

use crate::support::{client, runtime};
use bytes::Bytes;
use paxos_core::{ClientMsg, Incarnation, MemberId, NodeId, SessionId, SessionRules, Slot};
use paxos_kv::server::{LocalCluster, LocalOptions};
use paxos_kv::wire::{REQUEST, RESPONSE, Request, Response, VERSION};
use paxos_kv::{Expect, KvClient, KvError, Limit, Page, Swap};
use paxos_net::{FrameReader, FrameWriter};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::sync::mpsc::{self, TryRecvError};
use std::thread::JoinHandle;
use std::time::Duration;
use tempfile::TempDir;
use tokio::sync::oneshot;

/// Longer than anything takes that is going to happen.
const PATIENCE: Duration = Duration::from_secs(60);

/// A cluster in a thread of this process.
struct InThread {
    endpoints: String,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
    _dir: TempDir,
}

impl InThread {
    fn start(nodes: usize) -> InThread {
        let dir = tempfile::tempdir().unwrap();
        let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let options = LocalOptions::new(dir.path(), vec![any; nodes]);
        let (stop, stopped) = oneshot::channel::<()>();
        let (started, addresses) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            actix_rt::System::new().block_on(async move {
                let cluster = LocalCluster::start(options).await.unwrap();
                started.send(cluster.client_addrs()).unwrap();
                let _ = stopped.await;
                cluster.stop().await;
            });
        });
        let addresses = addresses.recv().unwrap();
        let endpoints = addresses.iter().map(SocketAddr::to_string).collect::<Vec<_>>().join(",");
        InThread { endpoints, stop: Some(stop), thread: Some(thread), _dir: dir }
    }
}

impl Drop for InThread {
    fn drop(&mut self) {
        drop(self.stop.take());
        let ended = self.thread.take().map(JoinHandle::join);
        assert!(std::thread::panicking() || matches!(ended, Some(Ok(()))));
    }
}

fn patient(endpoints: &str) -> KvClient {
    client(endpoints).timeout(PATIENCE)
}

#[test]
fn threads_with_runtimes_of_their_own_share_one_client() {
    const THREADS: u64 = 8;
    const ADDS: u64 = 25;
    let cluster = InThread::start(3);
    // The runtime on which the client was made is gone by now.
    let client = patient(&cluster.endpoints);
    let add = |client: KvClient| async move {
        for _ in 0..ADDS {
            loop {
                let found = client.get("counter").await.unwrap();
                let count: u64 = found
                    .as_ref()
                    .map_or(0, |found| String::from_utf8_lossy(&found.value).parse().unwrap());
                let expect = found.map_or(Expect::Absent, |found| Expect::Value(found.value));
                let next = (count + 1).to_string();
                if let Swap::Swapped(_) = client.cas("counter", expect, next).await.unwrap() {
                    break;
                }
            }
        }
    };
    let threads: Vec<_> = (0..THREADS)
        .map(|_| {
            let client = client.clone();
            std::thread::spawn(move || runtime().block_on(add(client)))
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    let found = runtime().block_on(client.get("counter")).unwrap().unwrap();
    assert_eq!(found.value, (THREADS * ADDS).to_string());
    assert_eq!(found.meta.version, THREADS * ADDS, "each swap was done once");
}

#[test]
fn more_calls_than_may_be_open_wait_and_none_fails() {
    const CALLS: u64 = 3000;
    let cluster = InThread::start(1);
    let client = patient(&cluster.endpoints);
    let tokio = runtime();
    let calls: Vec<_> = (0..CALLS)
        .map(|i| {
            let client = client.clone();
            tokio.spawn(async move { client.put(format!("key-{}", i % 7), vec![b'x'; 300]).await })
        })
        .collect();
    let mut revisions: Vec<u64> =
        calls.into_iter().map(|call| tokio.block_on(call).unwrap().unwrap().mod_revision).collect();
    revisions.sort_unstable();
    assert!(revisions.iter().copied().eq(2..2 + CALLS), "each put has a revision of its own");
}

#[test]
fn a_call_that_nobody_awaits_still_finishes() {
    let cluster = InThread::start(1);
    let client = patient(&cluster.endpoints);
    let tokio = runtime();
    tokio.block_on(client.put("before", "x")).unwrap();
    let call = tokio.spawn({
        let client = client.clone();
        async move { client.put("dropped", "x").await }
    });
    // It runs until it waits for its answer, and then it is dropped.
    tokio.block_on(tokio::task::yield_now());
    call.abort();
    drop(tokio);
    let found = || runtime().block_on(client.get("dropped")).unwrap();
    crate::support::until("the put is done", || found().is_some());
}

#[test]
fn over_a_limit_is_refused_before_anything_is_sent() {
    let cluster = InThread::start(1);
    let client = patient(&cluster.endpoints);
    let put = runtime().block_on(client.put("k", vec![0; (1 << 20) + 1]));
    assert_eq!(put, Err(KvError::Refused(Limit::Value((1 << 20) + 1))));
    let get = runtime().block_on(client.get(""));
    assert_eq!(get, Err(KvError::Refused(Limit::KeyEmpty)));
}

/// A node that answers as `answer` says, and then falls silent.
fn pretender(answer: impl Fn(&Request) -> Option<Response> + Clone + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        while let Ok((stream, _)) = listener.accept() {
            let answer = answer.clone();
            std::thread::spawn(move || pretend(stream, answer));
        }
    });
    address
}

fn pretend(mut stream: TcpStream, answer: impl Fn(&Request) -> Option<Response>) {
    let (mut reader, mut writer) = (FrameReader::new(1 << 21), FrameWriter::new(1 << 21));
    let mut chunk = [0; 4096];
    while let Ok(count @ 1..) = stream.read(&mut chunk) {
        reader.feed(&chunk[..count]);
        while let Ok(Some(frame)) = reader.next_frame() {
            assert_eq!(frame.kind, REQUEST);
            if let Some(response) = answer(&frame.decode().unwrap()) {
                writer.push(RESPONSE, &response).unwrap();
            }
        }
        if stream.write_all(writer.bytes()).is_err() {
            return;
        }
        writer.advance(writer.len());
    }
}

fn hello(request: &Request) -> Option<Response> {
    let node = MemberId { node: NodeId(1), incarnation: Incarnation(1) };
    matches!(request, Request::Hello { .. }).then_some(Response::Hello { version: VERSION, node })
}

/// Opens sessions, and applies nothing, or does not say so.
fn registrar(request: &Request) -> Option<Response> {
    if let Request::Propose(commands) = request
        && let [paxos_core::Command { body: paxos_core::Body::Register { nonce }, .. }] =
            commands[..]
    {
        let session = SessionId { slot: Slot(4), index: 2 };
        return Some(Response::Client(ClientMsg::Registered {
            nonce,
            session,
            rules: SessionRules::default(),
        }));
    }
    hello(request)
}

#[test]
fn a_write_that_may_have_been_applied_is_unknown_and_never_failed() {
    let (saw, seen) = mpsc::channel();
    let client = client(&pretender(move |request| {
        if let Request::Propose(commands) = request
            && let [paxos_core::Command { body: paxos_core::Body::Run { .. }, .. }] = commands[..]
        {
            // It may come once more when nobody listens any more.
            let _ = saw.send(());
        }
        registrar(request)
    }));
    let mut timeout = Duration::from_millis(250);
    let ticket = loop {
        match runtime().block_on(client.clone().timeout(timeout).put("k", "v")) {
            Err(KvError::Unknown(ticket)) => break ticket,
            // The time was up before it could be sent: this machine has much to do.
            Err(KvError::NotApplied(_)) if timeout < PATIENCE => timeout *= 2,
            other => panic!("{other:?}"),
        }
        assert_eq!(seen.try_recv(), Err(TryRecvError::Empty), "what was seen may be applied");
    };
    assert_eq!(seen.recv_timeout(PATIENCE), Ok(()), "what was never sent cannot be applied");
    assert_eq!(ticket.to_string(), "4.2:0");
}

#[test]
fn the_command_exits_with_3_and_names_the_ticket() {
    let output = Command::new(env!("CARGO_BIN_EXE_paxos-kv"))
        .args(["put", "k", "v"])
        .env("PAXOS_KV_ENDPOINTS", pretender(registrar))
        .output()
        .unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), stderr.lines().count()), (Some(3), 1), "{stderr}");
    assert!(stderr.contains("the outcome is unknown (ticket 4.2:0)"), "{stderr}");
    assert!(output.stdout.is_empty());
}

#[test]
fn what_was_never_sent_or_only_reads_is_not_applied() {
    let client = client(&pretender(hello)).timeout(Duration::from_millis(400));
    let put = runtime().block_on(client.put("k", "v"));
    assert!(matches!(put, Err(KvError::NotApplied(_))), "{put:?}: it had no session");
    let get = runtime().block_on(client.get("k"));
    assert!(matches!(get, Err(KvError::NotApplied(_))), "{get:?}");
}

#[test]
fn what_no_endpoint_could_take_was_never_sent() {
    let cluster = InThread::start(3);
    let client = patient(&cluster.endpoints);
    runtime().block_on(client.put("k", "v")).unwrap();
    drop(cluster);
    let client = client.timeout(Duration::from_millis(400));
    // Until the last connection is known to be gone, something may have left through it.
    crate::support::until("every port refuses", || {
        matches!(runtime().block_on(client.get("k")), Err(KvError::Unavailable(_)))
    });
    for _ in 0..3 {
        let put = runtime().block_on(client.put("k", "w"));
        let Err(KvError::Unavailable(said)) = put else { panic!("{put:?}") };
        assert!(said.contains("no endpoint can be reached"), "{said}");
    }
}

#[test]
fn a_node_that_speaks_garbage_is_unavailable() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            let _ = stream.write_all(b"SSH-2.0-OpenSSH_9.9\r\n");
        }
    });
    let error = runtime().block_on(KvClient::connect([address])).err();
    let Some(KvError::Unavailable(message)) = error else { panic!("{error:?}") };
    assert!(message.contains("is this the client port of a node?"), "{message}");
}

#[test]
fn values_are_bytes() {
    let cluster = InThread::start(1);
    let client = patient(&cluster.endpoints);
    let every = Bytes::from_iter(0..=255u8);
    runtime().block_on(client.put(every.clone(), every.clone())).unwrap();
    let found = runtime().block_on(client.get(every.clone())).unwrap().unwrap();
    assert_eq!((found.key, found.value), (every.clone(), every));
}

#[test]
fn the_pages_of_a_scan_are_of_one_moment() {
    let cluster = InThread::start(1);
    let (client, tokio) = (patient(&cluster.endpoints), runtime());
    let put = |key: &'static str, value: Vec<u8>| tokio.block_on(client.put(key, value)).unwrap();
    let big = |byte| vec![byte; 600_000];
    for key in ["s/1", "s/2", "s/3"] {
        put(key, big(b'a'));
    }
    put("t", big(b'a'));
    let keys = |page: &Page| page.found.iter().map(|found| found.key.clone()).collect::<Vec<_>>();
    let mut scan = client.scan("s/");
    let first = tokio.block_on(scan.next_page()).unwrap().unwrap();
    assert_eq!(keys(&first), ["s/1"], "two are more than one answer has");
    let newest = put("s/2", big(b'b')).mod_revision;
    tokio.block_on(client.delete("s/3")).unwrap();
    put("s/4", big(b'b'));
    let mut rest = Vec::new();
    while let Some(page) = tokio.block_on(scan.next_page()).unwrap() {
        assert!(page.revision == first.revision && page.revision < newest);
        rest.extend(page.found);
    }
    assert!(rest.iter().map(|found| &found.key[..]).eq([b"s/2", b"s/3"]));
    assert!(rest.iter().all(|found| found.value == big(b'a')), "as it was at the first page");
    assert_eq!(tokio.block_on(scan.next_page()), Ok(None));

    let mut limited = client.scan("s/").limit(2).keys_only();
    let page = tokio.block_on(limited.next_page()).unwrap().unwrap();
    assert_eq!(keys(&page), ["s/1", "s/2"]);
    assert!(page.found.iter().all(|found| found.value.is_empty()));
    assert_eq!(tokio.block_on(limited.next_page()), Ok(None));
    let nothing = tokio.block_on(client.scan("u").next_page()).unwrap().unwrap();
    assert_eq!(nothing.found, []);
}

#[test]
fn a_scan_whose_moment_is_not_kept_any_more_says_what_to_do() {
    let cluster = InThread::start(1);
    let (client, tokio) = (patient(&cluster.endpoints), runtime());
    for key in ["s/1", "s/2"] {
        tokio.block_on(client.put(key, vec![b'x'; 600_000])).unwrap();
    }
    let mut scan = client.scan("s/");
    tokio.block_on(scan.next_page()).unwrap().unwrap();
    let puts: Vec<_> = (0..1100)
        .map(|_| {
            let client = client.clone();
            tokio.spawn(async move { client.put("other", "y").await })
        })
        .collect();
    for put in puts {
        tokio.block_on(put).unwrap().unwrap();
    }
    let error = tokio.block_on(scan.next_page()).unwrap_err();
    assert!(matches!(error, KvError::ScanTooOld(_)), "{error:?}");
    assert!(error.to_string().contains("scan again"), "{error}");
    let again = tokio.block_on(client.scan("s/").next_page()).unwrap().unwrap();
    assert_eq!(again.found.len(), 1);
}
