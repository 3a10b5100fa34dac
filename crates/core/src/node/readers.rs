//! Who reads: where an orchestra says so, only agents that may. Asked with each question anew, so what
//! ends a right ends the reading, too.

use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use unisono_model::{
    Action, AgentId, Code, Digest, Held, OrchestraId, Place, RecordBody, Rejection, Setting,
};

use super::input::{Ask, Question};
use super::{Node, submit};
use crate::context::Context;
use crate::orchestra::fact::Fact;
use crate::orchestra::trust::Verdict;
use crate::session::Examined;

/// On whose behalf something is asked.
#[derive(Clone, Debug, Default)]
pub enum Reader {
    /// The process that drives the node, which shows nothing of it to anybody.
    Own,
    /// Somebody of whom nothing is known.
    #[default]
    Stranger,
    /// Somebody who has shown what is no session, and why it is none.
    Refused(Rejection),
    /// An agent that has signed for it.
    Session(Box<Examined>),
    /// An agent whose key this node holds, by its name.
    Held(String),
}

impl Node {
    /// Whether whoever asks may be told.
    ///
    /// # Errors
    /// The rule. It says nothing of what is there.
    pub(super) fn check_reader(
        &mut self,
        context: &Context<'_>,
        ask: &Ask,
    ) -> Result<(), Rejection> {
        let orchestra = ask.orchestra;
        let Some(space) = self.spaces.get(&orchestra) else {
            return Ok(());
        };
        let at = self.now(context);
        if space.folds.course.setting(Setting::Reading, at) == 0 {
            return Ok(());
        }
        // Tells nothing but of the token that is shown.
        if matches!(ask.question, Question::Renewed { .. }) {
            return Ok(());
        }
        let (agent, held, tokens) = match &ask.reader {
            Reader::Own => return Ok(()),
            Reader::Stranger => return Err(needed()),
            Reader::Refused(why) => return Err(why.clone()),
            Reader::Session(examined) => {
                examined.counts(orchestra, context.wall_ms())?;
                let session = examined.session();
                // Where a chain goes on is its key's to know: without it nobody could enrol.
                if matches!(&ask.question, Question::Session(key) if *key == session.agent) {
                    return Ok(());
                }
                (session.agent, Held::Agent, Vec::from([session.token]))
            }
            Reader::Held(name) => {
                let agent = self.held_agent(orchestra, name);
                let mut tokens = self.tokens_of(orchestra, &agent);
                tokens.push(None);
                (agent, Held::Node, tokens)
            }
        };
        let verdict = self.reading_by(context, orchestra, (agent, held), &tokens);
        if let Err(rejection) = &verdict {
            let named = tokens.first().copied().flatten();
            self.note_refused_reading(context, orchestra, (agent, held), named, rejection);
        }
        verdict
    }

    /// The verdict under the first token that allows it.
    fn reading_by(
        &self,
        context: &Context<'_>,
        orchestra: OrchestraId,
        (agent, held): (AgentId, Held),
        tokens: &[Option<Digest>],
    ) -> Result<(), Rejection> {
        let Some(space) = self.spaces.get(&orchestra) else {
            return Ok(());
        };
        let mut rules = self.fold_rules();
        rules.sabotage.fences_at_the_edge_alone = false;
        // What it would be if it were a record: a word about the work, that nothing rests on.
        let remark = Action::Release {
            topic: String::new(),
            claim: Digest::default(),
        };
        let mut refused = None;
        for token in tokens {
            let fact = Fact {
                place: Place::end_of(self.now(context)),
                agent,
                log: self.me,
                bundle: 0,
                // Behind all that a fence could keep.
                seq: u64::MAX,
                body: RecordBody {
                    token: *token,
                    ..submit::body(context, held, 1, None, remark.clone())
                },
            };
            let rejection = match space.folds.trust.may_read(orchestra, &fact, &rules) {
                Verdict::Counts(_) => return Ok(()),
                Verdict::Awaits(awaited) => awaited.rejection(),
                Verdict::Void(void) => void.rejection(),
            };
            refused.get_or_insert(rejection);
        }
        Err(refused.unwrap_or_else(needed))
    }

    /// Somebody who is known here was refused: the orchestra is told, by the rules for all refusals.
    fn note_refused_reading(
        &mut self,
        context: &Context<'_>,
        orchestra: OrchestraId,
        (agent, held): (AgentId, Held),
        token: Option<Digest>,
        rejection: &Rejection,
    ) {
        let deed = match held {
            Held::Agent => "read",
            Held::Node => "read (held: node)",
        };
        self.note_refusal(
            context,
            orchestra,
            (agent, token),
            deed.to_string(),
            rejection,
        );
        // Who only reads does not wait for the record that tells of it.
        self.refusals.noted = None;
    }
}

fn needed() -> Rejection {
    Rejection::new(
        Code::SessionNeeded,
        "who reads this orchestra says who they are, by a session; nothing changed",
    )
    .hint(
        "send the header Unisono-Session: `unisono session open --as NAME --key-file FILE` prints one; \
         for an agent whose key this node holds, Unisono-As: NAME",
    )
}
