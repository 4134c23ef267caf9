//! Who asks, for one operation, and the batches that its fields share.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use async_graphql::{Context, Error};
use entity::Timestamp;
use futures_util::stream::BoxStream;

use super::error::shown;
use super::loader::Loaders;
use crate::domain::permission::Actor;
use crate::service::{Fault, PendingRisk, RequestUpdate, Services};

/// One message of a subscription, before its fields are worked on.
pub enum News {
    /// A risk stage became pending.
    PendingRisk(PendingRisk),
    /// A request changed.
    Request(RequestUpdate),
}

impl News {
    /// Who is told, with the rights held now.
    pub fn actor(&self) -> &Actor {
        match self {
            News::PendingRisk(pending) => &pending.actor,
            News::Request(update) => &update.actor,
        }
    }

    /// Resume after it.
    pub fn cursor(&self) -> &str {
        match self {
            News::PendingRisk(pending) => &pending.cursor,
            News::Request(update) => &update.cursor,
        }
    }
}

/// Everything that a subscription has to tell, as it comes.
pub type Source = BoxStream<'static, Result<News, Fault>>;

/// Where a subscription stands. Its field runs once to find the source, which whoever runs it keeps, and then once for each message:
/// so what waits is the source alone.
enum Turn {
    /// Not a subscription, or its source is not known yet.
    First { since: i64, resume: Option<String> },
    /// The source has been found.
    Found(Source),
    /// This is to be told.
    Told(Box<Result<News, Fault>>),
    /// Nothing more.
    Over,
}

/// Who asks.
pub struct Session {
    actor: Arc<Actor>,
    expires_at: Timestamp,
    turn: Mutex<Turn>,
    loaders: OnceLock<Box<Loaders>>,
}

impl Session {
    /// For one operation of somebody whose token ends at `expires_at`.
    pub fn new(actor: Actor, expires_at: Timestamp) -> Session {
        let turn = Mutex::new(Turn::First { since: i64::MAX, resume: None });
        Session { actor: Arc::new(actor), expires_at, turn, loaders: OnceLock::new() }
    }

    /// For a subscription that was received when the log ended at `position`; `resume`: the transport names the cursor of the last
    /// message that arrived, which counts more than one in the document.
    pub fn following(self, position: i64, resume: Option<String>) -> Session {
        *self.turn() = Turn::First { since: position, resume };
        self
    }

    /// To tell somebody one message of the subscription that began with `first`.
    pub fn telling(news: Result<News, Fault>, first: &Session) -> Session {
        let actor = news.as_ref().map_or_else(|_| first.actor(), |news| Arc::new(news.actor().clone()));
        Session {
            actor,
            expires_at: first.expires_at,
            turn: Mutex::new(Turn::Told(Box::new(news))),
            loaders: OnceLock::new(),
        }
    }

    /// What the subscription's field found, once it has run.
    pub fn source(&self) -> Option<Source> {
        match self.take() {
            Turn::Found(source) => Some(source),
            _ => None,
        }
    }

    /// The message to be told, or where the subscription begins: the end of the log when it was received, and the cursor that the
    /// transport named.
    pub(super) fn begin(&self) -> Begin {
        match self.take() {
            Turn::Told(news) => Begin::Tell(news),
            Turn::First { since, resume } => Begin::Follow { since, resume },
            Turn::Found(_) | Turn::Over => {
                Begin::Tell(Box::new(Err(Fault::Internal("a subscription began twice".to_owned()))))
            }
        }
    }

    /// Keeps the source for whoever runs the subscription.
    pub(super) fn found(&self, source: Source) {
        *self.turn() = Turn::Found(source);
    }

    fn take(&self) -> Turn {
        std::mem::replace(&mut *self.turn(), Turn::Over)
    }

    fn turn(&self) -> std::sync::MutexGuard<'_, Turn> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Who asks, with the rights that hold for what is shown now.
    pub fn actor(&self) -> Arc<Actor> {
        self.actor.clone()
    }

    /// The batches, made when the first of them is needed.
    pub(super) fn loaders(&self) -> &Loaders {
        self.loaders.get_or_init(Box::default)
    }

    /// When the token ends.
    pub fn expires_at(&self) -> Timestamp {
        self.expires_at
    }
}

/// What a subscription's field has to do.
pub(super) enum Begin {
    /// Find the source.
    Follow { since: i64, resume: Option<String> },
    /// Tell this.
    Tell(Box<Result<News, Fault>>),
}

/// The session of the operation; without one nobody is signed in.
pub fn session<'a>(ctx: &Context<'a>) -> Result<&'a Session, Error> {
    ctx.data::<Arc<Session>>().map(|session| &**session).map_err(|_| shown(Fault::Unauthenticated))
}

/// Who asks.
pub fn actor(ctx: &Context<'_>) -> Result<Arc<Actor>, Error> {
    Ok(session(ctx)?.actor())
}

/// The use cases.
pub fn services<'a>(ctx: &Context<'a>) -> Result<&'a Arc<Services>, Error> {
    ctx.data::<Arc<Services>>().map_err(|_| shown(Fault::Internal("the schema has no use cases".to_owned())))
}
