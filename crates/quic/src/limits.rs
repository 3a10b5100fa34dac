//! Every limit of the transport, in one place: what a peer, a queue or a handshake may cost.

use std::time::Duration;

/// Largest frame on a stream (bytes): the same bound before compression and after.
pub const FRAME_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Largest frame of [`Class::Membership`](crate::Class::Membership) (bytes). QUIC guarantees 1,200
/// byte packets before path discovery; packet header, tag and frame header take the rest.
pub const DATAGRAM_BYTES_MAX: usize = 1150;
/// From this size on a stream frame is compressed (bytes); below, LZ4 gains too little.
pub const COMPRESS_BYTES_MIN: usize = 512;
/// LZ4 cannot expand a byte to more than 255; a frame that claims more is a bomb and is refused
/// before anything is allocated for it.
pub const COMPRESSION_RATIO_MAX: usize = 255;

/// Most frames waiting for one peer in one class.
pub const QUEUE_FRAMES_MAX: usize = 1024;
/// Most bytes waiting for one peer in one class.
pub const QUEUE_BYTES_MAX: usize = 8 * 1024 * 1024;
/// How long a membership frame is worth sending: an older probe only confuses whoever answers.
pub const MEMBERSHIP_AGE_MAX: Duration = Duration::from_secs(2);
/// How long one frame may take to be handed to the peer's flow control.
pub const SEND_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a frame that has begun to arrive may take to arrive whole.
pub const RECEIVE_TIMEOUT: Duration = Duration::from_secs(30);

/// How long closing waits until the peers have been told.
pub const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// Most events of one kind (lifecycle, and frames by class) that wait for the driver.
pub const EVENTS_MAX: usize = 256;
/// Most bytes of received frames that wait for the driver, all peers together. When they are used
/// up, sockets are not read, and the senders' flow control says so to them.
pub const RECEIVED_BYTES_MAX: usize = 32 * 1024 * 1024;

/// Most peers that one endpoint knows. Beyond it, sends are refused and connections closed.
pub const PEERS_MAX: usize = 4096;
/// Most notices that wait for the task of one peer.
pub const NOTICES_MAX: usize = 16;
/// Most addresses remembered for a peer.
pub const PEER_ADDRESSES_MAX: usize = 8;
/// Most one-way streams that a peer may hold open towards us. Two are in use; the rest leaves room
/// for streams that were reset after a timeout and not yet forgotten.
pub const STREAMS_MAX: u32 = 16;
/// Flow-control window of one stream (bytes): 10 MB/s at a round trip of 100 ms.
pub const STREAM_WINDOW_BYTES: u32 = 1024 * 1024;
/// Flow-control window of a connection whose peer has shown its certificate (bytes).
pub const CONNECTION_WINDOW_BYTES: u32 = 4 * 1024 * 1024;
/// Flow-control window of a connection before that, and of a joiner (bytes).
pub const STRANGER_WINDOW_BYTES: u32 = 128 * 1024;
/// Bytes buffered for all connections together that were not yet looked at.
pub const STRANGERS_BYTES_MAX: u64 = 8 * 1024 * 1024;
/// Bytes that a connection may hold unacknowledged on our side.
pub const SEND_WINDOW_BYTES: u64 = 4 * 1024 * 1024;
/// Bytes of datagrams that a connection buffers in each direction; the oldest go first.
pub const DATAGRAM_BUFFER_BYTES: usize = 256 * 1024;

/// Places in which the latest arrivals of senders are kept. Senders that share one cost each other
/// exactness, and nobody can make it grow.
pub const ARRIVALS_PLACES: usize = 256;
/// The longest that a packet is believed to have waited between the kernel and its reader: more is a stamp
/// of something else, or a clock that was set.
pub const PACKET_WAITS_MAX: Duration = Duration::from_millis(500);
/// Two clocks that were read within this were read together: a hundredth of a wake-up would be finer than
/// anything that is measured here.
pub const CLOCKS_APART_MAX: Duration = Duration::from_micros(2);

/// Largest packet within one machine (bytes of UDP), from the first one on: what the search for a larger one
/// (RFC 8899) comes to on a link of Ethernet. Elsewhere it begins at 1,200, as nobody knows the way.
pub const LOOPBACK_PACKET_BYTES: u16 = 1452;
/// Silence after which another connection is tried. After a cut QUIC asks again only when as much time
/// has passed as the cut took (its probe timeout doubles; RFC 9002, section 6.2): a handshake asks sooner.
pub const SILENCE: Duration = Duration::from_millis(2_500);
/// What a handshake takes a round trip for before it has measured one: its first packet is repeated after
/// three of them, then twice as late each time (RFC 9002, section 6.2.2, which proposes 333 ms). Farther
/// peers cost a packet or two more.
pub const INITIAL_ROUND_TRIP: Duration = Duration::from_millis(100);
/// Silence after which a connection counts as lost.
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(10);
/// How often an idle connection is kept alive.
pub const KEEP_ALIVE: Duration = Duration::from_secs(1);
/// How long a handshake may take, in either role.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(3);
/// Most handshakes at a time; above half of it a stranger must prove its address (QUIC Retry,
/// RFC 9000, section 8.1.2), above all of it it is refused.
pub const HANDSHAKES_MAX: usize = 128;
/// Shortest and longest pause between two attempts to reach a peer; each is jittered by half.
pub const BACKOFF: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(2));
/// Two connections of one pair that began within this time are one simultaneous dial; the one that
/// the lower node id dialled stays. Later than that, the newcomer means that the peer has lost the old.
pub const SIMULTANEOUS_DIAL: Duration = Duration::from_secs(3);
/// How long the losing connection of a simultaneous dial is still read.
pub const LINGER: Duration = Duration::from_secs(2);

/// Life of a node's certificate (ms): a week, so that a key whose removal somebody has not heard of
/// ends there too. It is renewed from a third of it on.
pub const NODE_CERTIFICATE_MS: u64 = 7 * 24 * 3_600_000;
/// Largest request for a renewal (bytes); an id, a cluster and a version are in it.
pub const RENEWAL_REQUEST_BYTES_MAX: usize = 128;
/// Largest answer to one (bytes): a certificate, or a refusal with its words.
pub const RENEWAL_ANSWER_BYTES_MAX: usize = CERTIFICATE_BYTES_MAX + 1024;
/// How long a renewal may take once there is a connection; the signer asks its node meanwhile.
pub const RENEWAL_TIMEOUT: Duration = Duration::from_secs(5);
/// Most connections at a time on which only a renewal can be asked for.
pub const RENEWALS_MAX: usize = 16;
/// Renewals that one node may ask for in [`RENEWAL_WINDOW`]; one in two days is what it needs.
pub const RENEWAL_REQUESTS_MAX: u32 = 30;
/// The window of [`RENEWAL_REQUESTS_MAX`].
pub const RENEWAL_WINDOW: Duration = Duration::from_secs(60);
/// Over at most so long connections are made anew after a renewal, so that they show it.
pub const REDIAL_SPREAD_MAX: Duration = Duration::from_secs(3600);
/// How often a connection is looked at again whose peer's certificate has ended while nobody can sign.
pub const ENDED_LOOK_INTERVAL: Duration = Duration::from_secs(60);
/// Validity of the cluster's own certificate (ms): thirty years.
pub const AUTHORITY_CERTIFICATE_MS: u64 = 10957 * 24 * 3_600_000;
/// A certificate is valid from this long before it was made (ms), since clocks differ.
pub const CERTIFICATE_SKEW_MS: u64 = 24 * 3_600_000;
/// Longest region name (bytes).
pub const REGION_BYTES_MAX: usize = 63;
/// Largest key or certificate file that is read (bytes).
pub const CREDENTIAL_FILE_BYTES_MAX: u64 = 64 * 1024;
/// Largest certificate on the wire (bytes).
pub const CERTIFICATE_BYTES_MAX: usize = 8 * 1024;

/// Most addresses in an invite or a join request.
pub const JOIN_ADDRESSES_MAX: usize = 8;
/// Longest address, host name and port (bytes).
pub const ADDRESS_BYTES_MAX: usize = 255;
/// Longest invite text (characters).
pub const INVITE_TEXT_MAX: usize = 8 * 1024;
/// Largest join request (bytes).
pub const JOIN_REQUEST_BYTES_MAX: usize = 8 * 1024;
/// Largest answer to a join request (bytes); the member list is in it.
pub const JOIN_ANSWER_BYTES_MAX: usize = 2 * 1024 * 1024;
/// How long a join may take once connected; the admitting node writes to its disk meanwhile.
pub const JOIN_TIMEOUT: Duration = Duration::from_secs(10);
/// How long one of the members may take to whom a join is passed on; with several of them it stays
/// within [`JOIN_TIMEOUT`] where the first ones answer.
pub const PASSED_JOIN_TIMEOUT: Duration = Duration::from_secs(4);
/// Most members to whom a join is passed on, one after the other.
pub const PASSED_TO_MAX: usize = 8;
/// Most joins at a time.
pub const JOINS_MAX: usize = 16;
/// Failed proofs that one address may make in [`PROOF_WINDOW`].
pub const PROOF_FAILURES_MAX: u32 = 10;
/// The window of [`PROOF_FAILURES_MAX`].
pub const PROOF_WINDOW: Duration = Duration::from_secs(60);
/// Most addresses whose failures are remembered. When the table is full of fresh entries every
/// failure counts for all.
pub const PROOF_ADDRESSES_MAX: usize = 1024;
/// Most addresses that a joiner tries, those named by refusals included.
pub const JOIN_ATTEMPTS_MAX: usize = 24;

/// Most packets held back by an injected delay.
pub const DELAYED_PACKETS_MAX: usize = 8192;
/// Longest injected one-way delay.
pub const DELAY_MAX: Duration = Duration::from_secs(10);

/// Most authorities that a node knows: the one that signs, and those before it. Each is tried where a
/// certificate is looked at.
pub const AUTHORITIES_MAX: usize = 16;
/// Most certificates that a peer shows which are looked at.
pub const CHAIN_MAX: usize = 4;
/// Certificates of other nodes of which is remembered who has signed them.
pub const STANDINGS_MAX: usize = PEERS_MAX;
/// Over how long nodes spread their first certificate of a new authority, and the connections that
/// they make anew with it: it is a matter of minutes, not of days, and a signer has others to serve.
pub const MOVE_SPREAD: Duration = Duration::from_secs(5);
