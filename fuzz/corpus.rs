//! Makes the corpus anew from the golden vectors, in the workspace's root:
//! `rustc --edition 2024 -o target/corpus fuzz/corpus.rs && target/corpus`.

use std::fs;
use std::path::Path;

/// What the checksums of a file or stream are put right by.
const MENDED: u8 = 1;

fn main() {
    let root = Path::new("fuzz");
    let golden = |file: &str| vectors(&fs::read_to_string(file).unwrap());
    let write = |target: &str, name: &str, bytes: &[u8]| {
        let folder = root.join("corpus").join(target);
        fs::create_dir_all(&folder).unwrap();
        assert!(bytes.len() < 4096, "{target}/{name}");
        fs::write(folder.join(name.to_lowercase()), bytes).unwrap();
    };
    let with = |how: u8, bytes: &[u8]| [&[how], bytes].concat();

    let frames = golden("paxos-net/tests/golden/frames.txt");
    let stream: Vec<u8> = frames[..2].iter().flat_map(|(_, bytes)| bytes.clone()).collect();
    write("frame", "stream", &with(MENDED | 254, &stream));
    write("frame", "bytes", &with(MENDED, &stream));
    frames.iter().for_each(|(name, bytes)| write("frame", name, &with(MENDED | 254, bytes)));

    // One of each kind; the storm has all of them in a row.
    let mut storm = vec![MENDED];
    let mut kinds = Vec::new();
    for (name, bytes) in golden("paxos-net/tests/golden/messages.txt") {
        if bytes.len() < 256 {
            storm.extend([2 + (storm.len() % 4) as u8, bytes.len() as u8]);
            storm.extend(&bytes);
            storm.extend([1, 0, 0, 20]);
        }
        let kind: String = name.split('.').take(2).collect::<Vec<_>>().join(".");
        if !kinds.contains(&kind) && kinds.len() < 39 {
            write("message", &kind, &bytes);
            kinds.push(kind);
        }
    }
    for (number, part) in storm.chunks(1000).enumerate() {
        write("storm", &format!("part-{number}"), &with(MENDED, &part[usize::from(number == 0)..]));
    }
    write("storm", "alone", &[0, 0, 255, 1, 0, 0, 255, 1, 0]);
    write("storm", "elected", &[1, 1, 0, 0, 255, 1, 0, 0, 255, 1, 0, 1, 0]);

    for (name, bytes) in golden("paxos-net/tests/golden/handshake.txt").iter().take(18) {
        write("handshake", name, &with(MENDED | 2, bytes));
        write("handshake", &format!("{name}-cluster"), &with(MENDED | 6, bytes));
    }

    let files = golden("paxos-actors/tests/golden/files.txt");
    let file = |name: &str| files.iter().find(|(n, _)| n == name).unwrap().1.clone();
    let first = [file("Header"), file("Frame"), file("Frame.2")].concat();
    write("wal", "first", &with(MENDED, &first));
    write("wal", "exact", &with(0, &first));
    write("wal", "torn", &with(MENDED, &first[..first.len() - 30]));
    let mut both = first;
    both.resize(2048, 0);
    write("wal", "both", &with(MENDED, &[both, file("Header.2")].concat()));

    let snapshot: Vec<u8> = golden("paxos-actors/tests/golden/snapshot.txt")
        .into_iter()
        .flat_map(|(_, bytes)| bytes)
        .collect();
    (0..8).for_each(|how| write("snapshot", &format!("how-{how}"), &with(how, &snapshot)));

    let requests = golden("paxos-kv/tests/golden/requests.txt");
    let responses = golden("paxos-kv/tests/golden/responses.txt");
    requests.iter().take(10).for_each(|(name, bytes)| write("client", name, &with(0, bytes)));
    responses.iter().take(14).for_each(|(name, bytes)| write("client", name, &with(1, bytes)));
    for (name, bytes) in golden("paxos-kv/tests/golden/store.txt").iter().take(7) {
        write("client", &format!("op-{name}"), &with(2, bytes));
        write("client", &format!("query-{name}"), &with(3, bytes));
    }

    let toml = "id = 1\ndata-dir = \"d\"\nlisten-client = \"127.0.0.1:0\"\nquorums = \"2x3\"\n\
                log-level = \"info\"\nsnapshot-log-mib = 64\n[initial-cluster]\n\
                1 = \"127.0.0.1:1\"\n\"4/acceptor\" = \"n4:4\"\n\"6/learner@4\" = \"[::1]:6\"\n";
    write("config", "file", &with(0, toml.as_bytes()));
    write("config", "unknown", &with(0, b"ids = 1\n"));
    write("config", "cluster", &with(1, b"1=a:1,2=b:2,4/acceptor=c:3,6/learner@4=d:4"));
    write(
        "config",
        "flags",
        &with(2, b"--id=1\n--quorums=4,2\n--roles=learner\n--heartbeat-ms=50"),
    );
}

/// The vectors of a golden file: name and bytes.
fn vectors(text: &str) -> Vec<(String, Vec<u8>)> {
    let mut vectors: Vec<(String, String)> = Vec::new();
    for line in text.lines().filter(|line| !line.trim_start().starts_with('#')) {
        match (line.split_once(": "), line.strip_suffix(':')) {
            (Some((name, hex)), _) => vectors.push((name.to_owned(), hex.to_owned())),
            (_, Some(name)) => vectors.push((name.to_owned(), String::new())),
            _ => vectors.last_mut().expect("a name").1.push_str(line),
        }
    }
    let hex = |text: &str| {
        let digits: Vec<char> = text.chars().filter(|c| !c.is_whitespace()).collect();
        let byte = |pair: &[char]| u8::from_str_radix(&pair.iter().collect::<String>(), 16);
        digits.chunks(2).map(|pair| byte(pair).expect("hexadecimal")).collect()
    };
    vectors.iter().map(|(name, text)| (name.clone(), hex(text))).collect()
}
