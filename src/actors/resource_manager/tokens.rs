//! *Purpose*: tokens of users, on their way to the disk.
//!
//! *Owns*: the handlers of [`MakeToken`], [`RevokeToken`] and [`NoteSignIn`].
//!
//! *Promises*: who asked stands in the history in the same commit; answers leave after it.
//!
//! *Not here*: who may (`api::tokens`), the table (`store`).

use actix::prelude::*;

use super::asked_more;
use super::state::ResourceManagerActor;
use super::ticket::Noted;
use crate::actors::messages::{MakeToken, NoteSignIn, RevokeToken};
use crate::clock;
use crate::kernel::access::Permitted;
use crate::kernel::change::{Asked, Change, Step};

impl ResourceManagerActor {
    fn token_changed(
        &mut self,
        change: Change,
        asked: (&Permitted, &'static str),
        detail: String,
        ctx: &mut Context<Self>,
    ) -> Noted {
        let mut step = Step { changes: vec![change], ..Step::default() };
        asked_more(&mut step, asked, (None, 0), clock::now(), detail);
        self.note(step, ctx)
    }
}

impl Handler<MakeToken> for ResourceManagerActor {
    type Result = Noted;

    fn handle(&mut self, MakeToken { token, by }: MakeToken, ctx: &mut Context<Self>) -> Noted {
        let role: &str = token.role.into();
        let detail = format!("{} of {}, {role}", token.id, token.user);
        let change = Change::TokenMade(Box::new(token));
        self.token_changed(change, (&by, "create token"), detail, ctx)
    }
}

impl Handler<RevokeToken> for ResourceManagerActor {
    type Result = Noted;

    fn handle(&mut self, RevokeToken { id, by }: RevokeToken, ctx: &mut Context<Self>) -> Noted {
        let change = Change::TokensRevoked(vec![id.clone()]);
        self.token_changed(change, (&by, "revoke token"), id, ctx)
    }
}

impl Handler<NoteSignIn> for ResourceManagerActor {
    type Result = Noted;

    fn handle(&mut self, message: NoteSignIn, ctx: &mut Context<Self>) -> Noted {
        let NoteSignIn { verb, detail, by } = message;
        let asked = Asked { time: clock::now(), by, verb, target: None, count: 0, detail };
        let changes = vec![Change::Asked(Box::new(asked))];
        self.note(Step { changes, ..Step::default() }, ctx)
    }
}
