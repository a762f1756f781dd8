//! Who waits for what at the client port. Pure: messages in, messages for connections out.

use paxos_core::{Body, ClientMsg, Command, CommandName, NodeId, Now, SessionId};
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

/// Sessions that one connection may speak for; the one named first is forgotten for another.
const SESSIONS_MAX: usize = 64;

/// Registrations that one connection may have open; the oldest is forgotten for another.
const REGISTRATIONS_MAX: usize = 64;

/// A connection may register [`REGISTRATIONS_MAX`] sessions in this time: else a few could take all
/// that the cluster keeps.
const REGISTRATIONS_US: u64 = 60_000_000;

/// Reads that one connection may have open; the oldest is forgotten for another. Twice what a
/// client has open, for those that it asks again.
const READS_MAX: usize = 2048;

/// Who leads is told again after this long.
const HINT_US: u64 = 1_000_000;

/// Names a connection.
pub(super) type ConnectionId = u64;

/// Finds the connection for each reply. What it has forgotten is a lost reply, and the client asks
/// again.
#[derive(Debug, Default)]
pub(super) struct Desk {
    connections: BTreeMap<ConnectionId, Seat>,
    sessions: HashMap<SessionId, ConnectionId>,
    registrations: HashMap<u64, ConnectionId>,
    reads: HashMap<u64, (ConnectionId, u64)>,
    next_connection: ConnectionId,
    next_read: u64,
}

/// What one connection waits for.
#[derive(Debug, Default)]
struct Seat {
    sessions: VecDeque<SessionId>,
    registrations: VecDeque<u64>,
    /// Registrations since some time; none: there were none.
    registered: Option<(Now, usize)>,
    reads: BTreeSet<u64>,
    proposed: bool,
    hinted: Option<(NodeId, Now)>,
}

impl Desk {
    /// A new connection.
    pub(super) fn enter(&mut self) -> ConnectionId {
        let id = self.next_connection;
        self.next_connection += 1;
        self.connections.insert(id, Seat::default());
        id
    }

    /// How many connections there are.
    pub(super) fn len(&self) -> usize {
        self.connections.len()
    }

    /// A connection is gone, and all that it waited for.
    pub(super) fn leave(&mut self, connection: ConnectionId) {
        let Some(seat) = self.connections.remove(&connection) else { return };
        for session in seat.sessions {
            forget(&mut self.sessions, session, connection);
        }
        for nonce in seat.registrations {
            forget(&mut self.registrations, nonce, connection);
        }
        for read in seat.reads {
            self.reads.remove(&read);
        }
    }

    /// Whether this connection may ask for `command` now.
    pub(super) fn admits(&mut self, now: Now, connection: ConnectionId, command: &Command) -> bool {
        let Body::Register { .. } = command.body else { return true };
        let Some(seat) = self.connections.get_mut(&connection) else { return false };
        let recent = seat.registered.filter(|(since, _)| now.since(*since) < REGISTRATIONS_US);
        let (since, count) = recent.unwrap_or((now, 0));
        seat.registered = Some((since, count + 1));
        count < REGISTRATIONS_MAX
    }

    /// The reply to `command` is for this connection.
    pub(super) fn proposed(&mut self, connection: ConnectionId, command: &Command) {
        let Some(seat) = self.connections.get_mut(&connection) else { return };
        seat.proposed = true;
        match command.body {
            Body::Run { session, .. } => {
                if self.sessions.insert(session, connection) != Some(connection) {
                    seat.sessions.push_back(session);
                }
                if seat.sessions.len() > SESSIONS_MAX
                    && let Some(oldest) = seat.sessions.pop_front()
                {
                    forget(&mut self.sessions, oldest, connection);
                }
            }
            Body::Register { nonce } => {
                if self.registrations.insert(nonce, connection) != Some(connection) {
                    seat.registrations.push_back(nonce);
                }
                if seat.registrations.len() > REGISTRATIONS_MAX
                    && let Some(oldest) = seat.registrations.pop_front()
                {
                    forget(&mut self.registrations, oldest, connection);
                }
            }
        }
    }

    /// The number under which this node's learner is to be asked what the client numbers `id`.
    pub(super) fn read(&mut self, connection: ConnectionId, id: u64) -> u64 {
        let number = self.next_read;
        self.next_read += 1;
        if let Some(seat) = self.connections.get_mut(&connection) {
            self.reads.insert(number, (connection, id));
            seat.reads.insert(number);
            if seat.reads.len() > READS_MAX
                && let Some(oldest) = seat.reads.pop_first()
            {
                self.reads.remove(&oldest);
            }
        }
        number
    }

    /// Hands a message to the connections that it is for.
    pub(super) fn route(
        &mut self,
        now: Now,
        message: ClientMsg,
        mut send: impl FnMut(ConnectionId, ClientMsg),
    ) {
        match message {
            ClientMsg::Reply { session, .. } => {
                if let Some(&connection) = self.sessions.get(&session) {
                    send(connection, message);
                }
            }
            ClientMsg::ReadReply { id, result } => {
                if let Some((connection, id)) = self.read_over(id) {
                    send(connection, ClientMsg::ReadReply { id, result });
                }
            }
            ClientMsg::ReadBusy { id, retry_after_ms } => {
                if let Some((connection, id)) = self.read_over(id) {
                    send(connection, ClientMsg::ReadBusy { id, retry_after_ms });
                }
            }
            ClientMsg::Registered { nonce, .. } | ClientMsg::NotRegistered { nonce } => {
                if let Some(connection) = self.registrations.remove(&nonce) {
                    if let Some(seat) = self.connections.get_mut(&connection) {
                        seat.registrations.retain(|&open| open != nonce);
                    }
                    send(connection, message);
                }
            }
            ClientMsg::Busy { refused, retry_after_ms } => {
                for (connection, refused) in self.sort(refused) {
                    send(connection, ClientMsg::Busy { refused, retry_after_ms });
                }
            }
            ClientMsg::LeaderHint { leader } => {
                for (&connection, seat) in &mut self.connections {
                    let told =
                        |(node, at): (NodeId, Now)| node == leader && now.since(at) < HINT_US;
                    if seat.proposed && !seat.hinted.is_some_and(told) {
                        seat.hinted = Some((leader, now));
                        send(connection, ClientMsg::LeaderHint { leader });
                    }
                    seat.proposed = false;
                }
            }
        }
    }

    fn read_over(&mut self, number: u64) -> Option<(ConnectionId, u64)> {
        let (connection, id) = self.reads.remove(&number)?;
        self.connections.get_mut(&connection)?.reads.remove(&number);
        Some((connection, id))
    }

    fn sort(&self, refused: Vec<CommandName>) -> BTreeMap<ConnectionId, Vec<CommandName>> {
        let mut sorted: BTreeMap<ConnectionId, Vec<CommandName>> = BTreeMap::new();
        for command in refused {
            let connection = match &command {
                CommandName::Register { nonce } => self.registrations.get(nonce),
                CommandName::Run { session, .. } => self.sessions.get(session),
            };
            if let Some(&connection) = connection {
                sorted.entry(connection).or_default().push(command);
            }
        }
        sorted
    }
}

/// Removes an entry, unless it is another connection's by now.
fn forget<K: Eq + std::hash::Hash>(
    table: &mut HashMap<K, ConnectionId>,
    key: K,
    connection: ConnectionId,
) {
    if table.get(&key) == Some(&connection) {
        table.remove(&key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use paxos_core::{Reply, Slot};

    const NOW: Now = Now(1_000_000);

    fn session(slot: u64) -> SessionId {
        SessionId { slot: Slot(slot), index: 0 }
    }

    fn run(slot: u64, sequence: u64) -> Command {
        let body =
            Body::Run { session: session(slot), sequence, acked_below: 0, value: Bytes::new() };
        Command { client: NodeId(1), learner: NodeId(1), body }
    }

    fn reply(slot: u64) -> ClientMsg {
        ClientMsg::Reply { session: session(slot), sequence: 0, reply: Reply::Expired }
    }

    fn sent(desk: &mut Desk, message: ClientMsg) -> Vec<(ConnectionId, ClientMsg)> {
        let mut sent = Vec::new();
        desk.route(NOW, message, |connection, message| sent.push((connection, message)));
        sent
    }

    #[test]
    fn a_reply_goes_to_the_connection_that_named_its_session_last() {
        let mut desk = Desk::default();
        let (a, b) = (desk.enter(), desk.enter());
        assert_eq!(sent(&mut desk, reply(5)), []);
        desk.proposed(a, &run(5, 0));
        assert_eq!(sent(&mut desk, reply(5)), [(a, reply(5))]);
        desk.proposed(b, &run(5, 0));
        assert_eq!(sent(&mut desk, reply(5)), [(b, reply(5))]);
        desk.leave(a);
        assert_eq!(sent(&mut desk, reply(5)), [(b, reply(5))], "it is b's by now");
        desk.leave(b);
        assert_eq!(sent(&mut desk, reply(5)), []);
        assert!(desk.sessions.is_empty());
    }

    #[test]
    fn reads_of_two_connections_with_one_number_are_told_apart() {
        let mut desk = Desk::default();
        let (a, b) = (desk.enter(), desk.enter());
        let (first, second) = (desk.read(a, 7), desk.read(b, 7));
        let result = Bytes::from_static(b"x");
        let answer = |id| ClientMsg::ReadReply { id, result: result.clone() };
        assert_eq!(sent(&mut desk, answer(second)), [(b, answer(7))]);
        assert_eq!(sent(&mut desk, answer(second)), [], "each read is answered once");
        assert_eq!(sent(&mut desk, answer(first)), [(a, answer(7))]);
    }

    #[test]
    fn refusals_are_sorted_by_connection() {
        let mut desk = Desk::default();
        let (a, b) = (desk.enter(), desk.enter());
        desk.proposed(a, &run(1, 0));
        desk.proposed(b, &run(2, 0));
        let body = Body::Register { nonce: 9 };
        desk.proposed(b, &Command { client: NodeId(1), learner: NodeId(1), body });
        let refused = |slot| CommandName::Run { session: session(slot), sequence: 0 };
        let busy = |refused| ClientMsg::Busy { refused, retry_after_ms: 5 };
        let all =
            busy(vec![refused(1), refused(2), refused(3), CommandName::Register { nonce: 9 }]);
        let expected = [
            (a, busy(vec![refused(1)])),
            (b, busy(vec![refused(2), CommandName::Register { nonce: 9 }])),
        ];
        assert_eq!(sent(&mut desk, all), expected);
    }

    #[test]
    fn who_leads_is_told_to_those_who_proposed_and_not_over_and_over() {
        let mut desk = Desk::default();
        let (a, _) = (desk.enter(), desk.enter());
        let hint = |node| ClientMsg::LeaderHint { leader: NodeId(node) };
        desk.proposed(a, &run(1, 0));
        assert_eq!(sent(&mut desk, hint(2)), [(a, hint(2))]);
        desk.proposed(a, &run(1, 1));
        assert_eq!(sent(&mut desk, hint(2)), []);
        desk.proposed(a, &run(1, 2));
        assert_eq!(sent(&mut desk, hint(3)), [(a, hint(3))]);
    }

    #[test]
    fn a_connection_registers_so_many_sessions_in_a_minute() {
        let mut desk = Desk::default();
        let a = desk.enter();
        let body = Body::Register { nonce: 1 };
        let register = Command { client: NodeId(1), learner: NodeId(1), body };
        let admitted =
            |desk: &mut Desk, now| (0..1000).filter(|_| desk.admits(now, a, &register)).count();
        assert_eq!(admitted(&mut desk, NOW), REGISTRATIONS_MAX);
        assert_eq!(admitted(&mut desk, NOW.plus(REGISTRATIONS_US - 1)), 0);
        assert_eq!(admitted(&mut desk, NOW.plus(REGISTRATIONS_US)), REGISTRATIONS_MAX);
        assert!(desk.admits(NOW, a, &run(1, 0)), "commands of a session are no registrations");
    }

    #[test]
    fn what_one_connection_can_make_the_desk_hold_is_bounded() {
        let mut desk = Desk::default();
        let a = desk.enter();
        for i in 0..3 * READS_MAX as u64 {
            desk.read(a, i);
            desk.proposed(a, &run(i, 0));
            let body = Body::Register { nonce: i };
            desk.proposed(a, &Command { client: NodeId(1), learner: NodeId(1), body });
        }
        let held = (desk.reads.len(), desk.sessions.len(), desk.registrations.len());
        assert_eq!(held, (READS_MAX, SESSIONS_MAX, REGISTRATIONS_MAX));
        desk.leave(a);
        assert_eq!((desk.reads.len(), desk.sessions.len(), desk.registrations.len()), (0, 0, 0));
    }
}
