//! Quorum systems: which sets of acceptors may promise, and which may choose.

use core::fmt;
use serde::{Deserialize, Serialize};

/// A set of acceptors, one bit for each, in the order of the configuration.
pub type AcceptorSet = u32;

/// More acceptors than this are refused: [`AcceptorSet`] has one bit for each.
pub const ACCEPTORS_MAX: usize = 31;

/// A quorum system in which every phase-1 quorum meets every phase-2 quorum (invariant 7; Howard,
/// Malkhi and Spiegelman, "Flexible Paxos"). A value that exists is sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "Shape", into = "Shape")]
pub struct Quorums(Shape);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
enum Shape {
    Sizes { acceptors: u8, phase1: u8, phase2: u8 },
    Grid { rows: u8, columns: u8 },
}

/// Why a quorum system was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QuorumError {
    /// There must be 1 to [`ACCEPTORS_MAX`] acceptors.
    Acceptors(usize),
    /// A quorum has at least one member and at most all.
    Size {
        /// The size asked for.
        size: usize,
        /// How many acceptors there are.
        acceptors: usize,
    },
    /// Two quorums of these sizes need not meet: their sum must be above the number of acceptors.
    Disjoint {
        /// Phase-1 size.
        phase1: usize,
        /// Phase-2 size.
        phase2: usize,
        /// How many acceptors there are.
        acceptors: usize,
    },
}

impl Quorums {
    /// Majorities in both phases; any two of them meet.
    pub fn majority(acceptors: usize) -> Result<Quorums, QuorumError> {
        Quorums::sizes(acceptors, acceptors / 2 + 1, acceptors / 2 + 1)
    }

    /// Any `phase1` acceptors promise, any `phase2` acceptors choose.
    pub fn sizes(acceptors: usize, phase1: usize, phase2: usize) -> Result<Quorums, QuorumError> {
        if acceptors == 0 || acceptors > ACCEPTORS_MAX {
            return Err(QuorumError::Acceptors(acceptors));
        }
        for size in [phase1, phase2] {
            if size == 0 || size > acceptors {
                return Err(QuorumError::Size { size, acceptors });
            }
        }
        if phase1 + phase2 <= acceptors {
            return Err(QuorumError::Disjoint { phase1, phase2, acceptors });
        }
        Ok(Quorums(Shape::Sizes {
            acceptors: acceptors as u8,
            phase1: phase1 as u8,
            phase2: phase2 as u8,
        }))
    }

    /// Acceptors in rows and columns, row by row: a full row promises, a full column chooses.
    pub fn grid(rows: usize, columns: usize) -> Result<Quorums, QuorumError> {
        let acceptors = rows.saturating_mul(columns);
        if acceptors == 0 || acceptors > ACCEPTORS_MAX {
            return Err(QuorumError::Acceptors(acceptors));
        }
        Ok(Quorums(Shape::Grid { rows: rows as u8, columns: columns as u8 }))
    }

    /// How many acceptors the system is made for.
    pub fn acceptors(&self) -> usize {
        match self.0 {
            Shape::Sizes { acceptors, .. } => acceptors.into(),
            Shape::Grid { rows, columns } => usize::from(rows) * usize::from(columns),
        }
    }

    /// Whether `set` contains a phase-1 quorum.
    pub fn phase1(&self, set: AcceptorSet) -> bool {
        match self.0 {
            Shape::Sizes { phase1, .. } => self.count(set) >= phase1.into(),
            Shape::Grid { rows, columns } => {
                let row = (1u32 << columns) - 1;
                (0..rows).any(|r| {
                    let row = row << (u32::from(r) * u32::from(columns));
                    set & row == row
                })
            }
        }
    }

    /// Whether `set` contains a phase-2 quorum.
    #[inline]
    pub fn phase2(&self, set: AcceptorSet) -> bool {
        match self.0 {
            Shape::Sizes { phase2, .. } => self.count(set) >= phase2.into(),
            Shape::Grid { rows, columns } => (0..columns).any(|c| {
                (0..rows)
                    .all(|r| set & (1 << (u32::from(r) * u32::from(columns) + u32::from(c))) != 0)
            }),
        }
    }

    /// The size of the smallest phase-2 quorum.
    pub fn phase2_min(&self) -> usize {
        match self.0 {
            Shape::Sizes { phase2, .. } => phase2.into(),
            Shape::Grid { rows, .. } => rows.into(),
        }
    }

    /// Equal for equal systems, and different for different ones.
    pub fn fingerprint(&self) -> u64 {
        let (kind, a, b, c) = match self.0 {
            Shape::Sizes { acceptors, phase1, phase2 } => (1, acceptors, phase1, phase2),
            Shape::Grid { rows, columns } => (2, rows, columns, 0),
        };
        u32::from_be_bytes([kind, a, b, c]).into()
    }

    #[inline]
    fn count(&self, set: AcceptorSet) -> usize {
        let all = (1u32 << self.acceptors()) - 1;
        (set & all).count_ones() as usize
    }
}

impl TryFrom<Shape> for Quorums {
    type Error = QuorumError;

    fn try_from(shape: Shape) -> Result<Quorums, QuorumError> {
        match shape {
            Shape::Sizes { acceptors, phase1, phase2 } => {
                Quorums::sizes(acceptors.into(), phase1.into(), phase2.into())
            }
            Shape::Grid { rows, columns } => Quorums::grid(rows.into(), columns.into()),
        }
    }
}

impl From<Quorums> for Shape {
    fn from(quorums: Quorums) -> Shape {
        quorums.0
    }
}

/// As [`crate::QuorumRule`] is written: `majority`, `4,2`, `2x3`.
impl fmt::Display for Quorums {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Shape::Sizes { acceptors, .. } if Quorums::majority(acceptors.into()) == Ok(*self) => {
                write!(f, "majority")
            }
            Shape::Sizes { phase1, phase2, .. } => write!(f, "{phase1},{phase2}"),
            Shape::Grid { rows, columns } => write!(f, "{rows}x{columns}"),
        }
    }
}

impl fmt::Display for QuorumError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            QuorumError::Acceptors(n) => {
                write!(f, "{n} acceptors: there must be 1 to {ACCEPTORS_MAX}")
            }
            QuorumError::Size { size, acceptors } => {
                write!(f, "a quorum of {size} out of {acceptors} acceptors cannot be formed")
            }
            QuorumError::Disjoint { phase1, phase2, acceptors } => write!(
                f,
                "phase-1 quorums of {phase1} and phase-2 quorums of {phase2} out of {acceptors} \
                 acceptors need not meet: the sizes must add up to more than {acceptors}"
            ),
        }
    }
}

impl core::error::Error for QuorumError {}
