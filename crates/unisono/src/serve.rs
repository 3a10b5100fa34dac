//! A node as a process: binds, drives, serves, and ends when it is told to.

use std::io::IsTerminal;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use serde_json::json;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{broadcast, mpsc, oneshot, watch};
use unisono_api::server::{Asked, BearerToken, BindError, Call, NodeHandle, Readiness};
use unisono_core::node::{Promise, Work};
use unisono_core::sabotage::Sabotage;
use unisono_model::{ClusterId, NodeId, OrchestraId};
use unisono_quic::identity::{Credentials, Region};
use unisono_quic::{Endpoint, Transport};

use crate::admission::{self, Invited};
use crate::at_work;
use crate::command::backup;
use crate::config::Config;
use crate::driver::{Clock, Doors, Driver, History, Identity, Means, Metrics, Order};
use crate::failure::{Exit, Failure};
use crate::faults::{self, Reach};
use crate::home::{Home, Membership, Running, Seed};
use crate::limits::SAY_AGAIN_EVERY;
use crate::notify::Supervisor;
use crate::output::{self, Format};
use crate::renewal::Renewing;
use crate::room;
use crate::rotation;
use crate::standing::{self, Word};
use crate::timing::{self, Timing};
use crate::webhook::{Watch, Webhook};
use crate::workspace::Workspace;

/// Requests that wait for the loop.
const CALLS_MAX: usize = 4096;
/// Orchestras with news that a follower may be behind before it just looks.
const PUBLISHED_MAX: usize = 1024;
/// Orders of the test endpoint that wait.
const ORDERS_MAX: usize = 16;
/// How long the node may take to make an orchestra at its start.
const OPEN_WITHIN: Duration = Duration::from_secs(10);

/// What a serving process is told beside its configuration.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wishes {
    /// Where requests are recorded.
    pub(crate) history: Option<PathBuf>,
    /// Where the agents' files lie.
    pub(crate) workspace: Option<PathBuf>,
    /// Whether the test endpoint is bound.
    pub(crate) test_faults: bool,
    /// Whether syncs are left out.
    pub(crate) no_fsync: bool,
    /// Rules to break.
    pub(crate) sabotage: Sabotage,
    /// An orchestra that is to be there.
    pub(crate) open: Option<String>,
    /// For tests: how long certificates live.
    pub(crate) certificate_life: Option<Duration>,
    /// What the timing plane is told.
    pub(crate) timing: timing::Wishes,
}

/// What is bound and ready to be driven.
struct Bound {
    listener: TcpListener,
    http: SocketAddr,
    endpoint: Endpoint,
    region: Region,
    token: Option<BearerToken>,
}

/// Serves until a signal says that it is enough.
pub(crate) async fn run(
    home: &Home,
    config: &Config,
    wishes: Wishes,
    format: Format,
) -> Result<(), Failure> {
    start_log(config);
    rotation::settled(home).await?;
    let (membership, credentials) = home.load_to_serve()?;
    backup::end_whole(home)?;
    refuse_used(home)?;
    // Whoever is served again becomes a member again.
    standing::forget(home, |known| known.word == Word::Left);
    let bound = bind(config, &wishes, &credentials).await?;
    let advertised = advertised(config, bound.endpoint.transport.local_addr());
    let own = Seed {
        node: credentials.node(),
        address: advertised[0].clone(),
    };
    let mut identity = identity(config, &membership, &credentials, &own);
    identity.renewer = home.renewer_token();
    let own_node = own.node;
    let http = bound.http.to_string();
    let serving = begin(home, bound, &identity, &wishes, own.clone(), membership)?;
    if let Some(name) = &wishes.open {
        open(&serving.calls, identity.cluster, name).await?;
    }
    let running = Running {
        pid: std::process::id(),
        http,
        peer: advertised.join(","),
    };
    serving.say_where(home, &running)?;
    serving.watch_incidents(config, home, own_node, &identity.name)?;
    let supervisor = Supervisor::from_environment();
    supervisor.ready();
    announce(&identity, &running, home, format, wishes.open.is_some())?;
    let outcome = tokio::select! {
        outcome = wait_for_end(&serving.driving) => outcome,
        () = serving.invited.until_gone() => Ok(()),
        () = supervisor.keep_alive(&serving.calls, &serving.readiness) => Ok(()),
    };
    let has_left = *serving.driving.left.borrow();
    if has_left {
        standing::remember(home, Word::Left, None, "this node has left the cluster");
    }
    let outcome = outcome.and_then(|()| serving.invited.end_of_outdone(has_left));
    supervisor.stopping();
    let ended = serving.end().await;
    home.remove_running();
    outcome.and(ended)
}

/// Refuses a directory that another process serves, before its ports are asked for: that they are taken
/// as well would say the lesser half.
fn refuse_used(home: &Home) -> Result<(), Failure> {
    let lock = home.journal().join("lock");
    if !lock.exists() || !matches!(at_work::locked(&lock), Ok(None)) {
        return Ok(());
    }
    let place = home.directory().display();
    let words = format!("{place} is in use by another process; nothing was changed");
    let failure = Failure::new(Exit::Conflict, "data_in_use", words);
    Err(match home.running() {
        Some(Running { http, pid, .. }) => failure
            .hint(format!(
                "its node runs already, as process {pid}; another one wants a directory of its own (--data)"
            ))
            .next(format!("unisono status --node http://{http}")),
        None => failure.hint("stop the process that uses it, or name another directory with --data"),
    })
}

/// A node that is served.
struct Serving {
    calls: mpsc::Sender<Call>,
    published: broadcast::Sender<OrchestraId>,
    readiness: watch::Receiver<Readiness>,
    driving: Driving,
    edge: tokio::task::JoinHandle<std::io::Result<()>>,
    invited: Arc<Invited>,
    stop: watch::Sender<bool>,
    finish: watch::Sender<bool>,
}

/// Makes the node from the disk, and opens its doors.
fn begin(
    home: &Home,
    bound: Bound,
    identity: &Identity,
    wishes: &Wishes,
    own: Seed,
    membership: Membership,
) -> Result<Serving, Failure> {
    let (endpoint, region) = (bound.endpoint, bound.region);
    let (calls, inbox) = mpsc::channel(CALLS_MAX);
    let (orders, ordered) = mpsc::channel(ORDERS_MAX);
    let (published, _) = broadcast::channel(PUBLISHED_MAX);
    let (readiness, ready) = watch::channel(Readiness::default());
    let (stop, stopping) = watch::channel(false);
    let (finish, finishing) = watch::channel(false);
    let (leaving, left) = watch::channel(false);
    let transport = endpoint.transport;
    let doors = Doors {
        calls: inbox,
        events: endpoint.events,
        transport: transport.clone(),
        orders: ordered,
        published: published.clone(),
        readiness,
        finish: finishing,
        left: leaving,
    };
    let timing = Timing::new(home, own.node, &wishes.timing, alone(home, &membership))?;
    let means = means(home, wishes, own.node, membership.cluster, &timing)?;
    let metrics = Arc::clone(&means.metrics);
    let (counted, told) = (transport.clone(), timing.clone());
    let reach = reach(&transport, &means, orders);
    let driving = drive(Driver::new(identity.clone(), doors, means)?, left)?;
    timing.serve(&transport, endpoint.timing, finish.subscribe(), region);
    let renewing = Renewing::start(&transport, home, &membership, finish.subscribe());
    let handle = NodeHandle {
        cluster: identity.cluster,
        node: own.node,
        name: identity.name.clone(),
        region: identity.region.clone(),
        calls: calls.clone(),
        published: published.clone(),
        readiness: ready.clone(),
        stop: stopping.clone(),
        inspector: Arc::new(workspace(wishes)?),
        clock: Arc::new(move || told.shown()),
        certificate: Arc::new(move || Some(renewing.shown())),
        tokens: Arc::new(crate::tokens::Lazily::default()),
        metrics: Arc::new(move || metrics.text(&counted) + &timing.metrics()),
    };
    let router = routed(handle, bound.token, wishes.test_faults.then_some(reach));
    let invited = Invited::new(home, membership, own, calls.clone(), transport);
    let invited = invited.serve(finish.subscribe());
    let edge = tokio::spawn(unisono_api::server::serve(bound.listener, router, stopping));
    Ok(Serving {
        calls,
        published,
        readiness: ready,
        driving,
        edge,
        invited,
        stop,
        finish,
    })
}

fn workspace(wishes: &Wishes) -> Result<Workspace, Failure> {
    let opened = Workspace::new(wishes.workspace.as_deref());
    opened.map_err(|error| Failure::system("the workspace", &error))
}

/// Whether no other member was ever there: a founder that starts again must not lead a time of its own
/// before it has listened.
fn alone(home: &Home, membership: &Membership) -> bool {
    membership.seeds.is_empty() && !admission::has_admitted(home)
}

fn means(
    home: &Home,
    wishes: &Wishes,
    node: NodeId,
    cluster: ClusterId,
    timing: &Timing,
) -> Result<Means, Failure> {
    let history = wishes.history.as_ref().map(|path| {
        let opened = History::open(path, node, cluster);
        opened.map_err(|error| Failure::system(&path.display().to_string(), &error))
    });
    Ok(Means {
        journal: home.journal(),
        caches: home.caches(),
        no_sync: Arc::new(AtomicBool::new(wishes.no_fsync)),
        metrics: Arc::new(Metrics::default()),
        clock: Arc::new(Clock::over(timing.clone())),
        history: history.transpose()?,
        sabotage: wishes.sabotage,
    })
}

/// What agents reach, and what tests do where they may.
fn routed(handle: NodeHandle, token: Option<BearerToken>, reach: Option<Reach>) -> axum::Router {
    let faults = reach.map(faults::router).unwrap_or_default();
    unisono_api::server::router(handle, token).merge(faults)
}

/// What the test endpoint can change.
fn reach(transport: &Transport, means: &Means, orders: mpsc::Sender<Order>) -> Reach {
    Reach {
        transport: transport.clone(),
        clock: Arc::clone(&means.clock),
        no_sync: Arc::clone(&means.no_sync),
        orders,
    }
}

impl Serving {
    /// Says where the process listens, for commands in its directory. On a full disk the node serves all
    /// the same, as one does whose disk fills up while it runs, and says it as soon as there is room.
    fn say_where(&self, home: &Home, running: &Running) -> Result<(), Failure> {
        match home.write_running(running) {
            Err(error) if room::is_full(&error) => {
                let free = room::words(home.directory());
                tracing::error!("the disk is full: this node reads, and takes no writes: {free}");
            }
            written => return written.map_err(|error| Failure::system("run.json", &error)),
        }
        let (home, running) = (home.clone(), running.clone());
        let mut finish = self.finish.subscribe();
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    _ = finish.wait_for(|finish| *finish) => return,
                    () = tokio::time::sleep(SAY_AGAIN_EVERY) => {}
                }
                if home.write_running(&running).is_ok() {
                    return;
                }
            }
        });
        Ok(())
    }

    /// Posts incidents that no executive acknowledges, where the configuration says to whom.
    fn watch_incidents(
        &self,
        config: &Config,
        home: &Home,
        node: NodeId,
        name: &str,
    ) -> Result<(), Failure> {
        let Some(url) = config.text("incident_webhook") else {
            return Ok(());
        };
        let after_ms = config.text("incident_webhook_after_ms").unwrap_or_default();
        let after_ms = after_ms
            .parse()
            .map_err(|_| Failure::usage("incident_webhook_after_ms is no number"))?;
        let watch = Watch {
            url: url.to_owned(),
            after: Duration::from_millis(after_ms),
            calls: self.calls.clone(),
            node,
            name: name.to_owned(),
        };
        let webhook = Webhook::new(watch, home.directory().join("webhook.json"));
        let webhook = webhook.map_err(|error| Failure::system("webhook.json", &error))?;
        tokio::spawn(webhook.run(self.published.subscribe(), self.finish.subscribe()));
        Ok(())
    }

    /// Streams and connections finish first, since the driver must be there to answer them; then the
    /// driver puts on disk what is worth keeping.
    async fn end(self) -> Result<(), Failure> {
        self.stop.send_replace(true);
        let served = self.edge.await;
        self.finish.send_replace(true);
        let driven = self.driving.ended.await;
        if served.is_ok() && driven.is_ok() {
            return Ok(());
        }
        let words = "a part of the process ended by a fault of its own";
        Err(Failure::new(Exit::Failed, "internal", words))
    }
}

/// The driver's thread.
struct Driving {
    ended: oneshot::Receiver<()>,
    died: watch::Receiver<bool>,
    left: watch::Receiver<bool>,
}

/// Turns the loop on a thread of its own, so that folding never delays the network or HTTP.
fn drive(driver: Driver, left: watch::Receiver<bool>) -> Result<Driving, Failure> {
    let (end, ended) = oneshot::channel();
    let (alive, died) = watch::channel(false);
    let runtime = tokio::runtime::Handle::current();
    let thread = std::thread::Builder::new().name("node".to_owned());
    let spawned = thread.spawn(move || {
        // Dropped at the end of the thread, however it ends.
        let _alive = alive;
        runtime.block_on(driver.run());
        // Nobody is left to hear it if the process is ending otherwise.
        let _ = end.send(());
    });
    spawned.map_err(|error| Failure::system("the node's thread", &error))?;
    Ok(Driving { ended, died, left })
}

async fn wait_for_end(driving: &Driving) -> Result<(), Failure> {
    let refused = |error: std::io::Error| Failure::system("signals", &error);
    let mut terminate = signal(SignalKind::terminate()).map_err(refused)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(refused)?;
    let (mut died, mut left) = (driving.died.clone(), driving.left.clone());
    tokio::select! {
        biased;
        // Its sender goes with the driver: an end by a fault comes here, too.
        true = async { left.wait_for(|&left| left).await.is_ok() } => {
            tracing::info!("left the cluster");
        }
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        _ = died.changed() => {
            let words = "the node ended by a fault of its own; what was acknowledged is on disk";
            return Err(Failure::new(Exit::Failed, "internal", words));
        }
    }
    tracing::info!("ending");
    Ok(())
}

async fn bind(
    config: &Config,
    wishes: &Wishes,
    credentials: &Credentials,
) -> Result<Bound, Failure> {
    let token = match config.text("http_token_file") {
        Some(path) => Some(BearerToken::from_file(path.as_ref()).map_err(|error| {
            Failure::new(Exit::Usage, "token_file", format!("{path}: {error}"))
        })?),
        None => None,
    };
    let http = config.address("http")?;
    if wishes.test_faults && !http.ip().to_canonical().is_loopback() {
        return Err(Failure::usage("--test-faults is for loopback only"));
    }
    let listener = unisono_api::server::bind(http, token.as_ref())
        .await
        .map_err(|error| {
            let words = error.to_string();
            match error {
                BindError::TokenNeeded(_) => Failure::new(Exit::Denied, "token_needed", words),
                BindError::Refused { .. } => Failure::new(Exit::Unavailable, "http_taken", words)
                    .hint("is a node running already? --http names another address"),
            }
        })?;
    let http = listener
        .local_addr()
        .map_err(|error| Failure::system("http", &error))?;
    let mut network = unisono_quic::Config {
        fault_injection: wishes.test_faults,
        ..unisono_quic::Config::default()
    };
    if let Some(life) = wishes.certificate_life {
        network.certificate_life = life;
    }
    let endpoint = Endpoint::bind(credentials.clone(), config.address("peer")?, network);
    let endpoint = endpoint.map_err(|error| {
        Failure::new(Exit::Unavailable, "peer_taken", error.to_string())
            .hint("--peer names another address")
    })?;
    Ok(Bound {
        listener,
        http,
        endpoint,
        region: credentials.region().clone(),
        token,
    })
}

fn identity(
    config: &Config,
    membership: &Membership,
    credentials: &Credentials,
    own: &Seed,
) -> Identity {
    Identity {
        cluster: membership.cluster,
        secret: credentials.key().seed(),
        name: config.text("name").unwrap_or(&membership.name).to_owned(),
        region: credentials.region().to_string(),
        address: own.address.clone(),
        renewer: None,
        seeds: membership.seeds.clone(),
        founder: membership.founder,
        root: membership.root,
        recovery: membership.recovery,
        authority: founding(credentials),
        home: Home::new(config.data()),
        lease_ms_max: membership.lease_ms_max,
    }
}

/// The authority that the founder made: whoever joined under a later one may know it by records alone.
fn founding(credentials: &Credentials) -> Option<unisono_model::AuthorityId> {
    let mut known = credentials.authorities().all().iter();
    let founding = known.find(|known| known.word.is_none());
    founding.map(|known| known.id)
}

/// Where peers are told to knock.
fn advertised(config: &Config, bound: SocketAddr) -> Vec<String> {
    let told = config.list("advertise");
    if !told.is_empty() {
        return told;
    }
    let mut address = bound;
    if bound.ip().is_unspecified()
        && let Some(own) = outward(bound)
    {
        address.set_ip(own);
    }
    vec![address.to_string()]
}

/// This machine's address on the way outward. No packet is sent: the system is asked for the route
/// to an address of the documentation (RFC 5737, RFC 3849).
fn outward(bound: SocketAddr) -> Option<IpAddr> {
    let (own, far) = if bound.is_ipv4() {
        ("0.0.0.0:0", "192.0.2.1:9")
    } else {
        ("[::]:0", "[2001:db8::1]:9")
    };
    let socket = UdpSocket::bind(own).ok()?;
    socket.connect(far).ok()?;
    Some(socket.local_addr().ok()?.ip())
}

/// Has the node make an orchestra, or find that it is there.
async fn open(calls: &mpsc::Sender<Call>, cluster: ClusterId, name: &str) -> Result<(), Failure> {
    let (answer, answered) = oneshot::channel();
    let work = Work::Open {
        name: name.to_owned(),
    };
    let asked = Asked::Work {
        work,
        promise: Promise::default(),
    };
    let call = Call {
        orchestra: OrchestraId::of(cluster, name),
        asked,
        answer,
    };
    let unanswered = || Failure::new(Exit::TimedOut, "timeout", "the node did not answer in time");
    calls.send(call).await.map_err(|_| unanswered())?;
    match tokio::time::timeout(OPEN_WITHIN, answered).await {
        Ok(Ok(Ok(_))) => Ok(()),
        Ok(Ok(Err(rejection))) => Err(Failure::new(
            Exit::Failed,
            rejection.code.as_str(),
            rejection.detail,
        )),
        Ok(Err(_)) | Err(_) => Err(unanswered()),
    }
}

fn announce(
    identity: &Identity,
    running: &Running,
    home: &Home,
    format: Format,
    opened: bool,
) -> Result<(), Failure> {
    let data = home.directory().display();
    if format != Format::Table {
        let ready = json!({
            "ready": true,
            "name": identity.name,
            "region": identity.region,
            "cluster": identity.cluster,
            "http": format!("http://{}", running.http),
            "peer": running.peer,
            "data": data.to_string(),
            "pid": running.pid,
        });
        return output::raw(&format!("{ready}\n"));
    }
    let Identity { name, region, .. } = identity;
    // Where nothing was opened there may be no orchestra yet; opening one twice does no harm.
    let open = if opened {
        ""
    } else {
        "unisono state --create && "
    };
    output::raw(&format!(
        "{name} in {region} is ready; all state is in {data}\n\
         \x20 agents   http://{http}   e.g. {open}unisono agent enrol ada && unisono claim door --as ada\n\
         \x20 peers    {peer}   unisono invite --data {data}   makes a string that lets one node in\n",
        http = running.http,
        peer = running.peer,
    ))
}

fn start_log(config: &Config) {
    let filter = tracing_subscriber::EnvFilter::try_new(config.text("log").unwrap_or("info"));
    let filter = filter.unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
    let colour = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let log = tracing_subscriber::fmt().with_env_filter(filter);
    // A second attempt in one process is not a reason to fail.
    let _ = log
        .with_ansi(colour)
        .with_writer(std::io::stderr)
        .try_init();
}
