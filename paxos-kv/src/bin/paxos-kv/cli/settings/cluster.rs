//! The first nodes of a cluster, as a flag and as a table of the file.

use crate::cli::is_host_port;
use paxos_core::NodeId;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::str::FromStr;

/// Nodes and where their peers reach them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "BTreeMap<String, String>", into = "BTreeMap<String, String>")]
pub(crate) struct Cluster(pub(crate) BTreeMap<NodeId, String>);

impl Cluster {
    fn new<'a>(nodes: impl Iterator<Item = (&'a str, &'a str)>) -> Result<Cluster, String> {
        let mut cluster = BTreeMap::new();
        for (node, address) in nodes {
            let id =
                node.trim().parse().map_err(|_| format!("\"{node}\" is not a node's number"))?;
            if !is_host_port(address) {
                return Err(format!("\"{address}\" is not HOST:PORT"));
            }
            if cluster.insert(NodeId(id), address.to_owned()).is_some() {
                return Err(format!("node {id} is named twice"));
            }
        }
        Ok(Cluster(cluster))
    }
}

impl FromStr for Cluster {
    type Err = String;

    fn from_str(text: &str) -> Result<Cluster, String> {
        let part = |part: &'_ str| format!("\"{part}\" is not NODE=HOST:PORT");
        let nodes: Result<Vec<_>, _> =
            text.split(',').map(|at| at.split_once('=').ok_or_else(|| part(at))).collect();
        Cluster::new(nodes?.into_iter())
    }
}

impl TryFrom<BTreeMap<String, String>> for Cluster {
    type Error = String;

    fn try_from(table: BTreeMap<String, String>) -> Result<Cluster, String> {
        Cluster::new(table.iter().map(|(node, address)| (node.as_str(), address.as_str())))
    }
}

impl From<Cluster> for BTreeMap<String, String> {
    fn from(cluster: Cluster) -> BTreeMap<String, String> {
        cluster.0.into_iter().map(|(node, address)| (node.to_string(), address)).collect()
    }
}
