//! A wake: what follows one reason to look at a run, until its guest waits or the run ends. The rules that bind one step
//! to the next are here; what one answer alone may say is the engine's to check.

use super::violation::ContractViolation;
use crate::contract::{
    Action, ActionResult, Answer, Checkpoint, Decision, Failure, Outcome, Query, StepResult, Timestamp, View,
    Wait,
};

/// Observations in a row.
const ROUNDS: u32 = 8;
/// Actions in one wake.
const ACTIONS: usize = 16;

/// What the guest has been told in this wake, and what it wants to remember.
#[derive(Clone, Debug)]
pub struct Wake {
    checkpoint: Option<Checkpoint>,
    stage_since: Timestamp,
    unwritten: bool,
    answers: Vec<Answer>,
    results: Vec<ActionResult>,
    rounds: u32,
    acted: usize,
    now: Timestamp,
}

/// What the host does next. A checkpoint that [`Wake::unwritten`] has is written first, unless the host only reads.
#[derive(Clone, Debug, PartialEq)]
pub enum Next {
    /// Read these, none of which has been answered in this wake, and call again.
    Read(Vec<Query>),
    /// Do these and call again.
    Act(Vec<Action>),
    /// The wake is over.
    Wait(Wait),
    /// The run ended well.
    Done(Option<Outcome>),
    /// The run ended badly.
    Fail(Failure),
}

impl Wake {
    /// A wake of a run whose checkpoint was stored last as `checkpoint`, in a stage it entered at `stage_since`. Before
    /// the first checkpoint that is the beginning of the run.
    #[must_use]
    pub fn new(checkpoint: Option<Checkpoint>, stage_since: Timestamp, now: Timestamp) -> Self {
        Self {
            checkpoint,
            stage_since,
            unwritten: false,
            answers: Vec::new(),
            results: Vec::new(),
            rounds: 0,
            acted: 0,
            now,
        }
    }

    /// What the next call of `step` sees.
    #[must_use]
    pub fn view(&self) -> View {
        View {
            checkpoint: self.checkpoint.clone(),
            stage_since: self.stage_since,
            answers: self.answers.clone(),
            results: self.results.clone(),
        }
    }

    /// Takes the guest's word.
    ///
    /// # Errors
    /// It observes or acts too often, or asks only what it has been told.
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
                let known = |q: &Query| self.answers.iter().any(|a| a.query == *q);
                let mut asked: Vec<Query> = Vec::with_capacity(queries.len());
                for query in queries {
                    if !known(&query) && !asked.contains(&query) {
                        asked.push(query);
                    }
                }
                if asked.is_empty() {
                    return Err(ContractViolation::rule(
                        "step asked only what it had been told in this wake",
                    ));
                }
                Next::Read(asked)
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

    /// The same for a whole answer of `step`.
    ///
    /// # Errors
    /// As [`Wake::take`].
    pub fn take_step(&mut self, step: StepResult) -> Result<Next, ContractViolation> {
        self.take(step.checkpoint, step.decision)
    }

    /// The guest's questions have been answered.
    pub fn answered(&mut self, answers: impl IntoIterator<Item = Answer>) {
        self.answers.extend(answers);
    }

    /// The guest's actions have been tried: what it was told before is out of date.
    pub fn acted(&mut self, results: Vec<ActionResult>) {
        self.answers.clear();
        self.results = results;
    }

    /// The checkpoint, and since when the run is in its stage.
    #[must_use]
    pub fn checkpoint(&self) -> Option<(&Checkpoint, Timestamp)> {
        self.checkpoint.as_ref().map(|c| (c, self.stage_since))
    }

    /// The same, if it has not been written yet.
    #[must_use]
    pub fn unwritten(&self) -> Option<(&Checkpoint, Timestamp)> {
        self.checkpoint().filter(|_| self.unwritten)
    }

    /// The checkpoint has been written.
    pub fn written(&mut self) {
        self.unwritten = false;
    }

    /// What has been answered since the last act.
    #[must_use]
    pub fn answers(&self) -> &[Answer] {
        &self.answers
    }

    /// The stage that the run is in.
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

    fn told(name: &str) -> Answer {
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
        wake.answered([told("a")]);
        let next = wake.take(None, Decision::Observe(vec![keys("a"), keys("b")])).unwrap();
        assert_eq!(next, Next::Read(vec![keys("b")]));
        wake.answered([told("b")]);
        assert_eq!(wake.view().answers, [told("a"), told("b")]);
        wake.take(None, Decision::Act(vec![run_pod()])).unwrap();
        let result = ActionResult { object: crate::backup::run_ref("K", "n", "o"), value: Ok(None) };
        wake.acted(vec![result.clone()]);
        assert_eq!((wake.view().answers, wake.view().results), (Vec::new(), vec![result.clone()]));
        // So that a step which is plain code takes the same way again, once it has its answers.
        wake.answered([told("a")]);
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

    #[test]
    fn more_than_sixteen_actions_or_a_question_answered_before_break_the_contract() {
        let mut wake = Wake::new(None, 0, 0);
        wake.take(None, Decision::Act(vec![run_pod(); 16])).unwrap();
        assert!(wake.take(None, Decision::Act(vec![run_pod()])).is_err());
        let mut wake = Wake::new(None, 0, 0);
        wake.answered([told("a")]);
        assert!(wake.take(None, Decision::Observe(vec![keys("a")])).unwrap_err().message.contains("told"));
    }
}
