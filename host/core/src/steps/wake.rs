//! A wake: the steps of a run from one event until its component waits or the run ends. Here are the rules that bind one
//! step to the next; the engine checks each answer alone.

use std::collections::BTreeMap;

use super::violation::ContractViolation;
use crate::contract::{
    Action, ActionResult, Answer, Checkpoint, Condition, Decision, Event, Failure, Outcome, Query,
    StepResult, Timestamp, View, Wait,
};
use crate::job::PodRunNote;

/// Most observations in a row.
const ROUNDS: u32 = 8;
/// Most actions in one wake.
const ACTIONS: usize = 16;

/// The answers, results and checkpoint of a wake.
#[derive(Clone, Debug)]
pub struct Wake {
    checkpoint: Option<Checkpoint>,
    stage_since: Timestamp,
    unwritten: bool,
    inherits: bool,
    answers: Vec<Answer>,
    results: Vec<ActionResult>,
    rounds: u32,
    acted: usize,
    now: Timestamp,
}

/// The host's next move. [`Wake::take_step`] says what the host writes before.
#[derive(Clone, Debug, PartialEq)]
pub enum Next {
    /// Read these, none of which has an answer in this wake yet, and call again.
    Read(Vec<Query>),
    /// Do these, and call again.
    Act(Vec<Action>),
    /// End the wake.
    Wait(Wait),
    /// The run has succeeded.
    Done(Option<Outcome>),
    /// The run has failed.
    Fail(Failure),
}

/// One effect of an answer of `step`; see [`Wake::take_step`].
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// The guest's conditions are written on the run, and its Events are posted.
    Publish(Vec<Condition>, Vec<Event>),
    /// The checkpoint is written.
    WriteCheckpoint {
        /// The checkpoint differs from the stored one. An unchanged one is written before an act as a fence: the write fails
        /// where another host has written since.
        changed: bool,
        /// Notes of the pod runs that the act asks for, by name.
        pod_runs: BTreeMap<String, PodRunNote>,
    },
    /// The decision is carried out. This is the last effect.
    Go(Next),
}

fn pod_run(action: &Action) -> Option<(String, PodRunNote)> {
    match action {
        Action::RunPod(run) => Some((run.name.clone(), PodRunNote::of_run(&run.spec))),
        _ => None,
    }
}

impl Wake {
    /// Begins a wake with the run's stored checkpoint. The run entered its stage at `stage_since`; before the first
    /// checkpoint that is the beginning of the run.
    #[must_use]
    pub fn new(checkpoint: Option<Checkpoint>, stage_since: Timestamp, now: Timestamp) -> Self {
        Self {
            checkpoint,
            stage_since,
            unwritten: false,
            inherits: false,
            answers: Vec::new(),
            results: Vec::new(),
            rounds: 0,
            acted: 0,
            now,
        }
    }

    /// Says whether the run has inherited a checkpoint. That is discarded before the end of the run is written, and the guest cannot
    /// decide again without it: so its last checkpoint is written too.
    #[must_use]
    pub fn inherits(self, inherits: bool) -> Self {
        Self { inherits, ..self }
    }

    /// Returns the input of the next call of `step`.
    #[must_use]
    pub fn view(&self) -> View {
        View {
            checkpoint: self.checkpoint.clone(),
            stage_since: self.stage_since,
            answers: self.answers.clone(),
            results: self.results.clone(),
        }
    }

    /// Takes the checkpoint and the decision of a step.
    ///
    /// # Errors
    /// The component observes or acts too often, or repeats only queries that have answers.
    pub fn take(
        &mut self,
        checkpoint: Option<Checkpoint>,
        decision: Decision,
    ) -> Result<Next, ContractViolation> {
        if let Some(checkpoint) = checkpoint
            && self.checkpoint.as_ref() != Some(&checkpoint)
        {
            if self.checkpoint.as_ref().is_none_or(|before| before.stage != checkpoint.stage) {
                self.stage_since = self.now;
            }
            self.checkpoint = Some(checkpoint);
            self.unwritten = true;
        }
        Ok(match decision {
            Decision::Observe(queries) => {
                self.rounds += 1;
                if self.rounds > ROUNDS {
                    return Err(ContractViolation::rule(format!(
                        "step observed more than {ROUNDS} times in a row"
                    )));
                }
                let answered = |q: &Query| self.answers.iter().any(|a| a.query == *q);
                let mut open: Vec<Query> = Vec::with_capacity(queries.len());
                for query in queries {
                    if !answered(&query) && !open.contains(&query) {
                        open.push(query);
                    }
                }
                if open.is_empty() {
                    return Err(ContractViolation::rule(
                        "step repeated only queries that have answers in this wake",
                    ));
                }
                Next::Read(open)
            }
            Decision::Act(actions) => {
                self.acted += actions.len();
                if self.acted > ACTIONS {
                    return Err(ContractViolation::rule(format!(
                        "step asked for more than {ACTIONS} actions in one wake"
                    )));
                }
                self.rounds = 0;
                Next::Act(actions)
            }
            Decision::Wait(wait) => Next::Wait(wait),
            Decision::Done(outcome) => Next::Done(outcome),
            Decision::Fail(failure) => Next::Fail(failure),
        })
    }

    /// Takes an answer of `step`, and returns its effects in the order in which a host carries them out.
    ///
    /// The order is the guarantee of a wake: a condition is published before the checkpoint that forgets why, and the
    /// checkpoint is written before the act that it knows of. While the guest only reads, its checkpoint stays in memory. The one
    /// of a run that is done is not written, unless it [inherits](Wake::inherits): it goes with the end of the run, and a host that
    /// dies before that asks the guest again, with the checkpoint before.
    ///
    /// # Errors
    /// As [`Wake::take`].
    pub fn take_step(&mut self, step: StepResult) -> Result<Vec<Effect>, ContractViolation> {
        let next = self.take(step.checkpoint, step.decision)?;
        let mut effects = vec![Effect::Publish(step.conditions, step.events)];
        let fence = matches!(next, Next::Act(_));
        let is_needed = match next {
            Next::Read(_) => false,
            Next::Done(_) => self.inherits,
            _ => true,
        };
        if is_needed && self.checkpoint.is_some() && (self.unwritten || fence) {
            let pod_runs = match &next {
                Next::Act(actions) => actions.iter().filter_map(pod_run).collect(),
                _ => BTreeMap::new(),
            };
            effects.push(Effect::WriteCheckpoint { changed: self.unwritten, pod_runs });
        }
        effects.push(Effect::Go(next));
        Ok(effects)
    }

    /// Adds answers to the component's queries.
    pub fn answered(&mut self, answers: impl IntoIterator<Item = Answer>) {
        self.answers.extend(answers);
    }

    /// Sets the results of the component's actions, and drops the answers from before them, which are out of date.
    pub fn acted(&mut self, results: Vec<ActionResult>) {
        self.answers.clear();
        self.results = results;
    }

    /// Returns the checkpoint, and when the run entered its stage.
    #[must_use]
    pub fn checkpoint(&self) -> Option<(&Checkpoint, Timestamp)> {
        self.checkpoint.as_ref().map(|c| (c, self.stage_since))
    }

    /// Returns [`Wake::checkpoint`] if it has not been written yet.
    #[must_use]
    pub fn unwritten(&self) -> Option<(&Checkpoint, Timestamp)> {
        self.checkpoint().filter(|_| self.unwritten)
    }

    /// Notes that the checkpoint has been written.
    pub fn written(&mut self) {
        self.unwritten = false;
    }

    /// Returns the answers since the last act.
    #[must_use]
    pub fn answers(&self) -> &[Answer] {
        &self.answers
    }

    /// Returns the stage that the run is in.
    #[must_use]
    pub fn stage(&self) -> Option<&str> {
        self.checkpoint.as_ref().map(|c| c.stage.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::{Content, NamespacedName};
    use serde_json::json;

    fn keys(name: &str) -> Query {
        Query::SecretKeys(NamespacedName { namespace: "n".into(), name: name.into() })
    }

    fn answer(name: &str) -> Answer {
        Answer { query: keys(name), value: Ok(Content::SecretKeys(Vec::new())) }
    }

    fn at(stage: &str, data: i32) -> Option<Checkpoint> {
        Some(Checkpoint { stage: stage.into(), data: json!(data) })
    }

    fn run_pod() -> Action {
        Action::Delete(crate::contract::Delete {
            object: crate::backup::run_ref("K", "n", "o"),
            uid: "u".into(),
            resource_version: None,
            propagation: crate::contract::Propagation::Background,
        })
    }

    #[test]
    fn answers_pile_up_until_an_act_and_results_last_until_the_next_one() {
        let mut wake = Wake::new(None, 5, 10);
        assert_eq!(
            wake.take(None, Decision::Observe(vec![keys("a"), keys("a")])).unwrap(),
            Next::Read(vec![keys("a")])
        );
        wake.answered([answer("a")]);
        let next = wake.take(None, Decision::Observe(vec![keys("a"), keys("b")])).unwrap();
        assert_eq!(next, Next::Read(vec![keys("b")]));
        wake.answered([answer("b")]);
        assert_eq!(wake.view().answers, [answer("a"), answer("b")]);
        wake.take(None, Decision::Act(vec![run_pod()])).unwrap();
        let result = ActionResult { object: crate::backup::run_ref("K", "n", "o"), value: Ok(None) };
        wake.acted(vec![result.clone()]);
        assert_eq!((wake.view().answers, wake.view().results), (Vec::new(), vec![result.clone()]));
        // A step without state of its own repeats its queries after an act and must still see the results.
        wake.answered([answer("a")]);
        assert_eq!(wake.view().results, [result]);
    }

    #[test]
    fn a_checkpoint_that_comes_with_a_question_is_kept_in_memory() {
        let mut wake = Wake::new(None, 5, 10);
        wake.take(at("a", 1), Decision::Observe(vec![keys("a")])).unwrap();
        assert_eq!(wake.unwritten().map(|(c, since)| (c.stage.as_str(), since)), Some(("a", 10)));
        assert_eq!(wake.view().checkpoint, at("a", 1));
        wake.written();
        assert_eq!(wake.unwritten(), None);
    }

    #[test]
    fn a_stage_is_entered_when_its_name_changes_and_an_unchanged_checkpoint_is_not_written() {
        let mut wake = Wake::new(at("a", 1), 5, 10);
        wake.take(at("a", 1), Decision::Observe(vec![keys("a")])).unwrap();
        assert_eq!(wake.unwritten(), None);
        wake.take(at("a", 2), Decision::Observe(vec![keys("b")])).unwrap();
        assert_eq!(wake.unwritten().unwrap().1, 5);
        wake.take(at("b", 2), Decision::Observe(vec![keys("c")])).unwrap();
        assert_eq!((wake.unwritten().unwrap().1, wake.stage()), (10, Some("b")));
    }

    #[test]
    fn a_ninth_observation_in_a_row_breaks_the_contract_and_an_act_begins_the_row_anew() {
        let mut wake = Wake::new(None, 0, 0);
        let ask = |wake: &mut Wake, i: u32| wake.take(None, Decision::Observe(vec![keys(&i.to_string())]));
        for i in 0..8 {
            ask(&mut wake, i).unwrap();
        }
        wake.take(None, Decision::Act(vec![run_pod()])).unwrap();
        for i in 0..8 {
            ask(&mut wake, i).unwrap();
        }
        assert_eq!(ask(&mut wake, 8).unwrap_err().reason, "StrategyBadAnswer");
    }

    fn step(checkpoint: Option<Checkpoint>, decision: Decision) -> StepResult {
        let condition =
            Condition { type_: "T".into(), status: Some(true), reason: "R".into(), message: "m".into() };
        StepResult { checkpoint, decision, conditions: vec![condition], events: Vec::new() }
    }

    /// Names of the effects, in order.
    fn effects(wake: &mut Wake, checkpoint: Option<Checkpoint>, decision: Decision) -> Vec<&'static str> {
        let effects = wake.take_step(step(checkpoint, decision)).unwrap();
        let name = |effect: &Effect| match effect {
            Effect::Publish(conditions, _) if conditions.len() == 1 => "publish",
            Effect::Publish(..) => "publish nothing",
            Effect::WriteCheckpoint { changed: true, .. } => "write",
            Effect::WriteCheckpoint { changed: false, .. } => "fence",
            Effect::Go(Next::Read(_)) => "read",
            Effect::Go(Next::Act(_)) => "act",
            Effect::Go(_) => "end",
        };
        effects.iter().map(name).collect()
    }

    #[test]
    fn conditions_go_before_the_checkpoint_and_the_checkpoint_before_the_act() {
        let mut wake = Wake::new(None, 5, 10);
        let act = || Decision::Act(vec![run_pod()]);
        assert_eq!(effects(&mut wake, None, act()), ["publish", "act"], "no checkpoint yet");
        assert_eq!(
            effects(&mut wake, at("a", 1), Decision::Observe(vec![keys("a")])),
            ["publish", "read"],
            "a checkpoint stays in memory while the guest reads"
        );
        assert_eq!(effects(&mut wake, None, act()), ["publish", "write", "act"]);
        wake.written();
        assert_eq!(effects(&mut wake, at("a", 1), act()), ["publish", "fence", "act"]);
        assert_eq!(effects(&mut wake, None, Decision::Done(None)), ["publish", "end"]);
        assert_eq!(effects(&mut wake, at("b", 1), Decision::Done(None)), ["publish", "end"]);
        let mut heir = Wake::new(at("a", 1), 5, 10).inherits(true);
        assert_eq!(effects(&mut heir, at("b", 1), Decision::Done(None)), ["publish", "write", "end"]);
        let failure =
            || Decision::Fail(Failure { reason: "R".into(), message: "m".into(), findings: Vec::new() });
        assert_eq!(
            effects(&mut wake, at("c", 1), failure()),
            ["publish", "write", "end"],
            "the next run goes on from it"
        );
    }

    #[test]
    fn more_than_sixteen_actions_or_a_question_answered_before_break_the_contract() {
        let mut wake = Wake::new(None, 0, 0);
        wake.take(None, Decision::Act(vec![run_pod(); 16])).unwrap();
        assert!(wake.take(None, Decision::Act(vec![run_pod()])).is_err());
        let mut wake = Wake::new(None, 0, 0);
        wake.answered([answer("a")]);
        let repeated = wake.take(None, Decision::Observe(vec![keys("a")])).unwrap_err();
        assert!(repeated.message.contains("have answers"), "{repeated}");
    }
}
