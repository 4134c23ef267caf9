//! Who asks, for one operation, and the batches that its fields share.

use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use async_graphql::{Context, Error};
use entity::Timestamp;

use super::error::shown;
use super::loader::Loaders;
use crate::domain::permission::Actor;
use crate::service::{Fault, Services};

/// Who asks. A subscription lives long: it puts the rights that its reader holds at each event in here before the event is shown.
pub struct Session {
    actor: RwLock<Arc<Actor>>,
    expires_at: Timestamp,
    since: i64,
    loaders: OnceLock<Box<Loaders>>,
}

impl Session {
    /// For one operation of somebody whose token ends at `expires_at`.
    pub fn new(actor: Actor, expires_at: Timestamp) -> Session {
        Session { actor: RwLock::new(Arc::new(actor)), expires_at, since: i64::MAX, loaders: OnceLock::new() }
    }

    /// For a subscription that was received when the log ended at `position`.
    pub fn since(mut self, position: i64) -> Session {
        self.since = position;
        self
    }

    /// Where the log ended when the subscription was received.
    pub fn position(&self) -> i64 {
        self.since
    }

    /// Who asks, with the rights that hold for what is shown now.
    pub fn actor(&self) -> Arc<Actor> {
        self.actor.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The batches, made when the first of them is needed: an idle subscription has none.
    pub(super) fn loaders(&self) -> &Loaders {
        self.loaders.get_or_init(Box::default)
    }

    /// When the token ends.
    pub fn expires_at(&self) -> Timestamp {
        self.expires_at
    }

    /// From now on the reader holds these rights.
    pub fn renew(&self, actor: Actor) {
        *self.actor.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(actor);
    }
}

/// The session of the operation; without one nobody is signed in.
pub fn session<'a>(ctx: &Context<'a>) -> Result<&'a Session, Error> {
    ctx.data::<Session>().map_err(|_| shown(Fault::Unauthenticated))
}

/// Who asks.
pub fn actor(ctx: &Context<'_>) -> Result<Arc<Actor>, Error> {
    Ok(session(ctx)?.actor())
}

/// The use cases.
pub fn services<'a>(ctx: &Context<'a>) -> Result<&'a Arc<Services>, Error> {
    ctx.data::<Arc<Services>>().map_err(|_| shown(Fault::Internal("the schema has no use cases".to_owned())))
}
