//! The programs that take part, and where they are.

use super::redis::Redis;
use super::row::PeerName;
use std::path::PathBuf;

/// The programs that take part; or what is missing, and how to get it.
#[derive(Clone, Debug)]
pub struct Programs {
    /// This program.
    pub this: PathBuf,
    /// The server of this store.
    pub paxos_kv: Result<PathBuf, String>,
    /// The server of etcd.
    pub etcd: Result<PathBuf, String>,
    /// What there is of Redis.
    pub redis: Result<Redis, String>,
    /// `paxos-peers`, which runs what is compared in one process.
    pub peers: Result<PathBuf, String>,
}

impl Programs {
    /// Those that are installed here, but what the caller has found.
    pub fn find(
        this: PathBuf,
        paxos_kv: Result<PathBuf, String>,
        peers: Option<PathBuf>,
    ) -> Programs {
        let etcd = if cfg!(feature = "etcd") {
            installed("etcd", "etcd-server")
        } else {
            Err("this paxos-bench does not know etcd: build it with --features etcd".into())
        };
        let redis = installed("redis-server", "redis-server").and_then(|server| {
            let benchmark = installed("redis-benchmark", "redis-tools")?;
            Ok(Redis { server, benchmark })
        });
        let peers = peers.or_else(|| in_path("paxos-peers")).ok_or_else(|| {
            "there is no paxos-peers beside this program or in PATH: build paxos-bench/peers, or \
             use --peers-binary"
                .into()
        });
        Programs { this, paxos_kv, etcd, redis, peers }
    }

    /// What is missing to run this store, if something is.
    pub fn lack(&self, peer: PeerName) -> Option<&str> {
        match peer {
            PeerName::Etcd => self.etcd.as_ref().err(),
            PeerName::Redis => self.redis.as_ref().err(),
            PeerName::Openraft | PeerName::Omnipaxos | PeerName::RaftRs => {
                self.peers.as_ref().err()
            }
        }
        .map(String::as_str)
    }
}

fn installed(name: &str, package: &str) -> Result<PathBuf, String> {
    let missing =
        || format!("{name} is not in PATH: install it (Debian: apt-get install {package})");
    in_path(name).ok_or_else(missing)
}

/// A program, by the directories of `PATH`.
pub fn in_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|directory| directory.join(name)).find(|file| file.is_file())
}
