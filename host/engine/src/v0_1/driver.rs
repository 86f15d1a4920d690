//! The driver of a component: which world it exports, and the calls of that world.

use backstay_core::contract as c;
use wasmtime::component::{InstancePre, Linker, WasmStr};
use wasmtime::{Store, StoreContextMut};

use super::bindings::pod::{PodStrategy, PodStrategyPre};
use super::bindings::resource::{ResourceStrategy, ResourceStrategyPre};
use super::bindings::{log, types as w};
use super::convert::{self, Lift as _};
use super::function::Function;
use crate::call::{self, CallState, Called, InstanceCost};
use crate::call_error::{CallError, CallFault};
use crate::lift::{Answer, ContractViolation};
use crate::limits::{DESCRIPTOR_BYTES, LIST_ENTRIES, Limits};
use crate::permits::Permits;
use crate::world::World;

/// Links the only function that components may import.
pub(crate) fn add_to_linker(linker: &mut Linker<CallState>) -> wasmtime::Result<()> {
    let mut instance = linker.instance("backstay:strategy/log@0.1.0")?;
    instance.func_wrap(
        "write",
        |store: StoreContextMut<'_, CallState>, (level, message): (log::Level, WasmStr)| {
            call::write_log(store, level.into(), &message)
        },
    )
}

/// A component of this version, ready to be instantiated.
pub(crate) struct Driver {
    exports: Exports,
    validate: Function,
}

/// The exports of a world: all of them, and those that calls look up.
enum Exports {
    Pod { all: PodStrategyPre<CallState>, render: Function, parse: Function },
    Resource { all: ResourceStrategyPre<CallState>, step: Function },
}

/// The context of a call: engine, permits and limits.
pub(crate) struct Call<'a> {
    pub(crate) engine: &'a wasmtime::Engine,
    pub(crate) permits: &'a Permits,
    pub(crate) limits: Limits,
}

/// The interfaces of the contract.
const ABOUT: &str = "backstay:strategy/about@0.1.0";
const POD: &str = "backstay:strategy/pod-driver@0.1.0";
const RESOURCE: &str = "backstay:strategy/resource-driver@0.1.0";

/// What `render` returns.
type Rendered = Result<w::PodRun, w::Failure>;

/// The result of a call.
type Answered<T> = Result<Called<T>, CallError>;

impl Driver {
    /// Finds the exports of `world` once. [`Driver::describe`], the first call, type-checks all of them; a later call checks its
    /// own function again, and no other.
    ///
    /// # Errors
    /// An export is missing.
    pub(crate) fn new(pre: InstancePre<CallState>, world: World) -> wasmtime::Result<Self> {
        let find = |interface, name| Function::find(pre.component(), interface, name);
        let exports = match world {
            World::Pod => Exports::Pod {
                all: PodStrategyPre::new(pre.clone())?,
                render: find(POD, "render")?,
                parse: find(POD, "parse")?,
            },
            World::Resource => Exports::Resource {
                all: ResourceStrategyPre::new(pre.clone())?,
                step: find(RESOURCE, "step")?,
            },
        };
        Ok(Self { validate: find(ABOUT, "validate")?, exports })
    }

    fn pre(&self) -> &InstancePre<CallState> {
        match &self.exports {
            Exports::Pod { all, .. } => all.instance_pre(),
            Exports::Resource { all, .. } => all.instance_pre(),
        }
    }

    pub(crate) fn describe(&self, on: &Call<'_>) -> Answered<Result<c::Descriptor, ContractViolation>> {
        on.call(
            "describe",
            |store| match &self.exports {
                Exports::Pod { all, .. } => pod(all, store)?.backstay_strategy_about().call_describe(store),
                Exports::Resource { all, .. } => {
                    resource(all, store)?.backstay_strategy_about().call_describe(store)
                }
            },
            // A broken rule is kept apart from a failed call: at load it is an error of the component's author.
            |raw: w::Descriptor| Ok(raw.lift(&mut Answer::with_text(&on.limits, DESCRIPTOR_BYTES))),
        )
    }

    /// Makes an instance as a call does, with its most frequent function, and does not call it.
    pub(crate) fn measure_instance(&self, on: &Call<'_>) -> Result<InstanceCost, CallError> {
        call::measure_instance(on.engine, on.permits, on.limits, |store| match &self.exports {
            Exports::Pod { render, .. } => {
                render.instance::<(&w::Request, Option<&String>), Rendered>(self.pre(), store).map(drop)
            }
            Exports::Resource { step, .. } => {
                step.instance::<(&w::Request, &w::View), w::StepResult>(self.pre(), store).map(drop)
            }
        })
    }

    pub(crate) fn validate(
        &self,
        on: &Call<'_>,
        kind: &c::GroupKind,
        strategy: &c::Json,
        parameters: Option<&c::Pairs>,
        options: Option<&c::Json>,
    ) -> Answered<Vec<c::Diagnostic>> {
        let args = on.lower("validate", |lower| {
            Ok((
                lower.group_kind(kind)?,
                lower.json("strategy", strategy)?,
                parameters.map(|p| lower.pairs("parameters", p)).transpose()?,
                options.map(|o| lower.json("options", o)).transpose()?,
            ))
        })?;
        let (kind, strategy, parameters, options) = (&args.0, &args.1, args.2.as_ref(), args.3.as_ref());
        on.call(
            "validate",
            |store| self.validate.call(self.pre(), store, (kind, strategy, parameters, options)),
            |raw: Vec<w::Diagnostic>| Ok(on.answer().list(raw, LIST_ENTRIES, |answer, d| d.lift(answer))?),
        )
    }

    pub(crate) fn render(
        &self,
        on: &Call<'_>,
        request: &c::Request,
        application: Option<&c::Json>,
        check: impl FnOnce(&Result<c::PodRun, c::Failure>) -> Result<(), ContractViolation>,
    ) -> Answered<Result<c::PodRun, c::Failure>> {
        let Exports::Pod { render, .. } = &self.exports else {
            return Err(wrong_world("render", "pod-driver"));
        };
        let (request, application) = on.lower("render", |lower| {
            Ok((lower.request(request)?, application.map(|a| lower.json("application", a)).transpose()?))
        })?;
        on.call(
            "render",
            |store| render.call(self.pre(), store, (&request, application.as_ref())),
            |raw: Rendered| on.read(raw, check),
        )
    }

    pub(crate) fn parse(
        &self,
        on: &Call<'_>,
        request: &c::Request,
        ended: &c::PodResult,
        check: impl FnOnce(&Result<c::Outcome, c::Failure>) -> Result<(), ContractViolation>,
    ) -> Answered<Result<c::Outcome, c::Failure>> {
        let Exports::Pod { parse, .. } = &self.exports else {
            return Err(wrong_world("parse", "pod-driver"));
        };
        let (request, ended) =
            on.lower("parse", |lower| Ok((lower.request(request)?, lower.pod_result("ended", ended)?)))?;
        on.call(
            "parse",
            |store| parse.call(self.pre(), store, (&request, &ended)),
            |raw: Result<w::Outcome, w::Failure>| on.read(raw, check),
        )
    }

    pub(crate) fn step(
        &self,
        on: &Call<'_>,
        request: &c::Request,
        view: &c::View,
        check: impl FnOnce(&c::StepResult) -> Result<(), ContractViolation>,
    ) -> Answered<c::StepResult> {
        let Exports::Resource { step, .. } = &self.exports else {
            return Err(wrong_world("step", "resource-driver"));
        };
        let (request, view) = on.lower("step", |lower| Ok((lower.request(request)?, lower.view(view)?)))?;
        on.call(
            "step",
            |store| step.call(self.pre(), store, (&request, &view)),
            |raw: w::StepResult| on.read(raw, check),
        )
    }
}

impl Call<'_> {
    fn call<R, T>(
        &self,
        name: &'static str,
        enter: impl FnOnce(&mut Store<CallState>) -> wasmtime::Result<R>,
        check: impl FnOnce(R) -> Result<T, CallFault>,
    ) -> Answered<T> {
        call::call(self.engine, self.permits, self.limits, name, enter, check)
    }

    fn lower<T>(
        &self,
        name: &'static str,
        args: impl FnOnce(&mut convert::Lower) -> Result<T, CallFault>,
    ) -> Result<T, CallError> {
        args(&mut convert::Lower::new(self.limits.input_bytes)).map_err(|fault| call::refused(name, fault))
    }

    fn answer(&self) -> Answer {
        Answer::new(&self.limits)
    }

    fn read<R: convert::Lift>(
        &self,
        raw: R,
        check: impl FnOnce(&R::To) -> Result<(), ContractViolation>,
    ) -> Result<R::To, CallFault> {
        let answer = raw.lift(&mut self.answer())?;
        check(&answer)?;
        Ok(answer)
    }
}

fn wrong_world(call: &'static str, driver: &'static str) -> CallError {
    call::refused(call, CallFault::WrongWorld { driver })
}

fn pod(pre: &PodStrategyPre<CallState>, store: &mut Store<CallState>) -> wasmtime::Result<PodStrategy> {
    let guest = pre.instantiate(&mut *store)?;
    store.data_mut().instantiated();
    Ok(guest)
}

fn resource(
    pre: &ResourceStrategyPre<CallState>,
    store: &mut Store<CallState>,
) -> wasmtime::Result<ResourceStrategy> {
    let guest = pre.instantiate(&mut *store)?;
    store.data_mut().instantiated();
    Ok(guest)
}
