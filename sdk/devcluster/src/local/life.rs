//! How the containers of a pod live: which is started next, which ends, and when the pod is over. No process is touched here.

use std::borrow::Cow;

use jiff::{SignedDuration, Timestamp};

use super::plan::{Hindered, Member, Restart, Role};
use super::probe;

/// The first pause before a container that ended is started once more; it doubles from then on.
const FIRST_PAUSE: i64 = 10;
/// The longest pause.
const LONGEST_PAUSE: i64 = 300;

/// How a container ended.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Ended {
    /// Its exit code.
    pub(crate) code: i32,
    /// `Completed`, `Error` and their like.
    pub(crate) reason: Cow<'static, str>,
    /// Its last words.
    pub(crate) message: String,
    /// When it began; never if it could not.
    pub(crate) began: Option<Timestamp>,
    /// When it ended; unknown if nobody saw it.
    pub(crate) at: Option<Timestamp>,
    /// Which container it was.
    pub(crate) id: String,
}

/// What a container does.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum State {
    /// It is not yet begun, or not yet begun again.
    Waiting(Hindered),
    /// It runs.
    Running {
        /// Since when.
        since: Timestamp,
        /// Which container it is.
        id: String,
    },
    /// It has ended.
    Ended(Ended),
}

/// A container of a pod and its history.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Part {
    /// What the pod says of it.
    pub(crate) member: Member,
    /// What it does.
    pub(crate) state: State,
    /// How it ended before.
    pub(crate) last: Option<Ended>,
    /// How often it was started.
    pub(crate) starts: u32,
    /// How many of its starts do not count any more: the pod has begun anew since.
    before: u32,
    /// Whether it has started, if it runs: by its probe, if it has one.
    pub(crate) begun: bool,
    /// Whether it is ready, if it has started: by its probe, if it has one.
    pub(crate) fit: bool,
    /// Whether it was asked to end.
    told: bool,
    /// Not to be started before this time.
    not_before: Option<Timestamp>,
    /// The pause that comes before its next start but one, and when it was set.
    pause: Option<(i64, Timestamp)>,
}

/// Why a pod is brought to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// Its work is done, or cannot be.
    Over,
    /// It is being deleted.
    Deleted,
    /// It took longer than it may.
    Deadline,
}

/// A pod.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Life {
    /// The pod, as the kubelet's texts name it: `NAME_NAMESPACE(UID)`.
    title: String,
    /// Its containers, in the order of their start.
    pub(crate) parts: Vec<Part>,
    /// Whether its containers could be started: its volumes are there.
    pub(crate) sandbox: bool,
    /// When the node took it.
    pub(crate) began: Timestamp,
    /// Why and since when it is brought to its end, and until when its containers may take.
    pub(crate) ending: Option<(Cause, Timestamp)>,
}

/// What is to be done with a container, by its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    /// Start it.
    Start(usize),
    /// Ask it to end.
    Terminate(usize),
    /// End it.
    Kill(usize),
}

impl Part {
    fn new(member: Member, waits: &'static str) -> Self {
        let state = State::Waiting(Hindered { reason: waits, message: String::new() });
        Self {
            member,
            state,
            last: None,
            starts: 0,
            before: 0,
            begun: true,
            fit: true,
            told: false,
            not_before: None,
            pause: None,
        }
    }

    /// Whether it runs.
    pub(crate) const fn runs(&self) -> bool {
        matches!(self.state, State::Running { .. })
    }

    /// Whether it runs and has started.
    pub(crate) const fn is_started(&self) -> bool {
        self.runs() && self.begun
    }

    /// Whether it runs and is ready.
    pub(crate) const fn is_ready(&self) -> bool {
        self.is_started() && self.fit
    }

    /// How it ended last, if it does not run.
    pub(crate) const fn ended(&self) -> Option<&Ended> {
        match &self.state {
            State::Ended(ended) => Some(ended),
            State::Waiting(_) => self.last.as_ref(),
            State::Running { .. } => None,
        }
    }

    /// Whether it ended, and stays so.
    fn is_over(&self) -> bool {
        self.ended().is_some_and(|ended| match self.member.restart {
            Restart::Never => true,
            Restart::OnFailure => ended.code == 0,
            Restart::Always => false,
        })
    }
}

impl Life {
    /// Returns the life of a pod that has not begun.
    pub(crate) fn new(title: String, members: Vec<Member>, now: Timestamp) -> Self {
        let initialised = members.iter().any(|member| member.role != Role::Main);
        let waits = if initialised { "PodInitializing" } else { "ContainerCreating" };
        let parts = members.into_iter().map(|member| Part::new(member, waits)).collect();
        Self { title, parts, sandbox: false, began: now, ending: None }
    }

    /// Whether any container with the pod's work was started, since the pod began anew if it did.
    pub(crate) fn has_begun(&self) -> bool {
        self.parts.iter().any(|part| part.member.role == Role::Main && part.starts > part.before)
    }

    /// Begins anew with what is left to do, as a kubelet does where it has to make a sandbox once more: the init containers run
    /// again, from the first one on. Nothing begins if all of the pod's work is over.
    pub(crate) fn begin_anew(&mut self) {
        if self.parts.iter().filter(|part| part.member.role == Role::Main).all(Part::is_over) {
            return;
        }
        for part in &mut self.parts {
            part.before = part.starts;
            if part.member.role == Role::Init {
                part.last = None;
                part.state = State::Waiting(Hindered { reason: "PodInitializing", message: String::new() });
            }
        }
    }

    /// Whether nothing runs, and nothing would be started again.
    pub(crate) fn is_done(&self) -> bool {
        let of = |role: Role| self.parts.iter().filter(move |part| part.member.role == role);
        let failed = |part: &Part| part.is_over() && part.ended().is_some_and(|ended| ended.code != 0);
        let stuck = !self.has_begun() && of(Role::Init).any(failed);
        !self.parts.iter().any(Part::runs)
            && (self.ending.is_some() || stuck || of(Role::Main).all(Part::is_over))
    }

    /// Whether nothing runs, and nothing will.
    pub(crate) fn is_over(&self) -> bool {
        self.ending.is_some() && !self.parts.iter().any(Part::runs)
    }

    /// Brings the pod to its end; its containers have this many seconds. What was asked before stays, but for an earlier end.
    pub(crate) fn end(&mut self, cause: Cause, seconds: u64, now: Timestamp) {
        let seconds = i64::try_from(seconds).unwrap_or(i64::MAX).min(i64::from(i32::MAX));
        let until = now + SignedDuration::from_secs(seconds);
        self.ending = match self.ending {
            None => Some((cause, until)),
            Some((Cause::Over, before)) => Some((cause, before.min(until))),
            Some((cause, before)) => Some((cause, before.min(until))),
        };
    }

    /// Says that a container runs.
    pub(crate) fn started(&mut self, place: usize, id: String, now: Timestamp) {
        if let Some(part) = self.parts.get_mut(place) {
            begin(part, now);
            part.state = State::Running { since: now, id };
            part.begun = !probe::has(&part.member.spec, "startupProbe");
            part.fit = !probe::has(&part.member.spec, "readinessProbe");
        }
    }

    /// Says that a container could not be started for now, and is to be tried again at this time.
    pub(crate) fn hindered(&mut self, place: usize, why: Hindered, again: Timestamp) {
        if let Some(part) = self.parts.get_mut(place) {
            if let State::Ended(ended) = &part.state {
                part.last = Some(ended.clone());
            }
            part.state = State::Waiting(why);
            part.not_before = Some(again);
        }
    }

    /// Says that the command of a container is not there: it ended without having begun.
    pub(crate) fn refused(&mut self, place: usize, ended: Ended, now: Timestamp) {
        if let Some(part) = self.parts.get_mut(place) {
            begin(part, now);
        }
        self.ended(place, ended, now);
    }

    /// Says that a container has ended.
    pub(crate) fn ended(&mut self, place: usize, ended: Ended, now: Timestamp) {
        let Some(part) = self.parts.get_mut(place) else { return };
        part.state = State::Ended(ended);
        part.told = false;
        part.pause = part.pause.filter(|(_, set)| now.duration_since(*set).as_secs() <= 2 * LONGEST_PAUSE);
        part.not_before = part.pause.map(|(pause, _)| now + SignedDuration::from_secs(pause));
    }

    /// Returns what is to be done now, and when to ask again if nothing happens before.
    pub(crate) fn next(&mut self, now: Timestamp, grace: u64) -> (Vec<Act>, Option<Timestamp>) {
        let (mut acts, mut wake) = (Vec::new(), None);
        if self.ending.is_none() {
            let over = self.advance(now, &mut acts, &mut wake);
            if over {
                self.end(Cause::Over, grace, now);
            }
        }
        if let Some((_, until)) = self.ending {
            acts.clear();
            wake = self.stop(now, until, &mut acts);
        }
        (acts, wake)
    }

    /// Starts what may be started; returns whether the pod is over.
    fn advance(&mut self, now: Timestamp, acts: &mut Vec<Act>, wake: &mut Option<Timestamp>) -> bool {
        let begun = self.has_begun();
        for (place, part) in self.parts.iter_mut().enumerate() {
            let passed = match part.member.role {
                Role::Init if begun => continue,
                Role::Init => part.ended().is_some_and(|ended| ended.code == 0),
                Role::Sidecar => part.is_started(),
                Role::Main => true,
            };
            if part.member.role == Role::Init && !passed && part.is_over() {
                return true;
            }
            let stays = part.member.role != Role::Sidecar && part.is_over();
            let due = !part.runs() && !stays;
            if due && !(part.member.role == Role::Init && passed) {
                begin_when_due(&self.title, part, place, now, acts, wake);
            }
            if !passed && !begun {
                return false;
            }
        }
        self.parts.iter().filter(|part| part.member.role == Role::Main).all(Part::is_over)
    }

    /// Stops what runs: the sidecars after all others, the last one first.
    fn stop(&mut self, now: Timestamp, until: Timestamp, acts: &mut Vec<Act>) -> Option<Timestamp> {
        let others = self.parts.iter().any(|part| part.runs() && part.member.role != Role::Sidecar);
        let mut sidecars = 0;
        for (place, part) in self.parts.iter_mut().enumerate().rev().filter(|(_, part)| part.runs()) {
            let sidecar = part.member.role == Role::Sidecar;
            let turn = !sidecar || (!others && sidecars == 0);
            sidecars += usize::from(sidecar);
            if now >= until {
                acts.push(Act::Kill(place));
            } else if turn && !part.told {
                part.told = true;
                acts.push(Act::Terminate(place));
            }
        }
        (now < until).then_some(until)
    }
}

fn begin(part: &mut Part, now: Timestamp) {
    if let State::Ended(ended) = &part.state {
        part.last = Some(ended.clone());
    }
    if part.starts > 0 {
        let pause = part.pause.map_or(FIRST_PAUSE, |(pause, _)| LONGEST_PAUSE.min(2 * pause));
        part.pause = Some((pause, now));
    }
    part.starts += 1;
    part.not_before = None;
}

fn begin_when_due(
    title: &str,
    part: &mut Part,
    place: usize,
    now: Timestamp,
    acts: &mut Vec<Act>,
    wake: &mut Option<Timestamp>,
) {
    match part.not_before.filter(|at| *at > now) {
        None => acts.push(Act::Start(place)),
        Some(at) => {
            if let (State::Ended(ended), Some((pause, _))) = (&part.state, part.pause) {
                part.last = Some(ended.clone());
                let pause =
                    if pause >= 60 { format!("{}m{}s", pause / 60, pause % 60) } else { format!("{pause}s") };
                let message =
                    format!("back-off {pause} restarting failed container={} pod={title}", part.member.name);
                part.state = State::Waiting(Hindered { reason: "CrashLoopBackOff", message });
            }
            *wake = Some(wake.map_or(at, |wake| wake.min(at)));
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    const T: Timestamp = Timestamp::UNIX_EPOCH;

    fn at(seconds: i64) -> Timestamp {
        T + SignedDuration::from_secs(seconds)
    }

    fn member(name: &str, role: Role, restart: Restart) -> Member {
        Member { name: name.to_owned(), role, restart, spec: Value::Null }
    }

    fn ended(code: i32) -> Ended {
        Ended {
            code,
            reason: "Error".into(),
            message: String::new(),
            began: Some(T),
            at: Some(T),
            id: String::new(),
        }
    }

    /// A life whose moves are tried one after another.
    fn life(members: &[(&str, Role, Restart)]) -> Life {
        Life::new(
            "p".to_owned(),
            members.iter().map(|(name, role, restart)| member(name, *role, *restart)).collect(),
            T,
        )
    }

    #[test]
    fn init_containers_pass_one_after_another_and_then_all_others_begin() {
        let never = Restart::Never;
        let mut life = life(&[
            ("first", Role::Init, never),
            ("side", Role::Sidecar, Restart::Always),
            ("a", Role::Main, never),
            ("b", Role::Main, never),
        ]);
        assert_eq!(life.next(T, 30).0, [Act::Start(0)]);
        life.started(0, String::new(), T);
        assert_eq!(life.next(T, 30).0, []);
        life.ended(0, ended(0), T);
        assert_eq!(life.next(T, 30).0, [Act::Start(1)]);
        life.started(1, String::new(), T);
        assert_eq!(life.next(T, 30).0, [Act::Start(2), Act::Start(3)]);
        life.started(2, String::new(), T);
        life.started(3, String::new(), T);
        life.ended(2, ended(1), T);
        assert_eq!(life.next(T, 30).0, []);
        life.ended(3, ended(0), T);
        assert_eq!(life.next(T, 30), (vec![Act::Terminate(1)], Some(at(30))));
        assert_eq!(life.next(at(30), 30).0, [Act::Kill(1)]);
        life.ended(1, ended(137), at(30));
        assert!(life.is_over());
    }

    #[test]
    fn an_init_container_that_fails_for_good_is_the_end() {
        let mut life = life(&[("first", Role::Init, Restart::Never), ("a", Role::Main, Restart::Never)]);
        life.started(0, String::new(), T);
        life.ended(0, ended(1), T);
        assert_eq!(life.next(T, 30).0, []);
        assert!(life.is_over());
    }

    #[test]
    fn a_container_that_fails_again_and_again_waits_longer_each_time() {
        let mut life = life(&[("a", Role::Main, Restart::OnFailure)]);
        let mut now = 0;
        for pause in [0, 10, 20, 40, 80, 160, 300, 300] {
            life.started(0, String::new(), at(now));
            life.ended(0, ended(1), at(now));
            if pause == 0 {
                assert_eq!(life.next(at(now), 30).0, [Act::Start(0)]);
            } else {
                assert_eq!(life.next(at(now), 30), (vec![], Some(at(now + pause))));
                assert!(
                    matches!(&life.parts[0].state, State::Waiting(why) if why.reason == "CrashLoopBackOff")
                );
                now += pause;
                assert_eq!(life.next(at(now), 30).0, [Act::Start(0)]);
            }
        }
        life.started(0, String::new(), at(now));
        now += 601;
        life.ended(0, ended(1), at(now));
        assert_eq!(life.next(at(now), 30).0, [Act::Start(0)]);
    }

    #[test]
    fn a_pod_that_begins_anew_runs_its_init_containers_once_more_unless_its_work_is_done() {
        let members = [
            ("first", Role::Init, Restart::OnFailure),
            ("a", Role::Main, Restart::OnFailure),
            ("b", Role::Main, Restart::OnFailure),
        ];
        for (code, acts) in [(1, vec![Act::Start(0)]), (0, vec![])] {
            let mut life = life(&members);
            for (place, code) in [(0, 0), (1, 0), (2, code)] {
                life.started(place, String::new(), T);
                life.ended(place, ended(code), T);
            }
            life.begin_anew();
            assert_eq!(life.next(T, 30).0, acts);
            assert_eq!(life.is_over(), code == 0);
            if code == 1 {
                assert!(!life.has_begun());
                life.started(0, String::new(), T);
                life.ended(0, ended(0), T);
                assert_eq!(life.next(T, 30).0, [Act::Start(2)], "what has succeeded is not done again");
            }
        }
    }

    #[test]
    fn a_deleted_pod_ends_its_sidecars_last() {
        let mut life = life(&[
            ("one", Role::Sidecar, Restart::Always),
            ("two", Role::Sidecar, Restart::Always),
            ("a", Role::Main, Restart::Always),
        ]);
        (0..3).for_each(|place| life.started(place, String::new(), T));
        life.end(Cause::Deleted, 5, T);
        assert_eq!(life.next(T, 30), (vec![Act::Terminate(2)], Some(at(5))));
        life.ended(2, ended(143), T);
        assert_eq!(life.next(T, 30).0, [Act::Terminate(1)]);
        assert_eq!(life.next(T, 30).0, []);
        life.ended(1, ended(143), T);
        assert_eq!(life.next(T, 30).0, [Act::Terminate(0)]);
        assert_eq!(life.next(at(5), 30).0, [Act::Kill(0)]);
    }
}
