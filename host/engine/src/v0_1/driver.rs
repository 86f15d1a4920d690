//! The driver of a component: which world it exports, and the calls of that world.

use backstay_core::contract as c;
use wasmtime::component::{InstancePre, Linker, WasmStr};
use wasmtime::{Store, StoreContextMut};

use super::bindings::pod::{PodStrategy, PodStrategyPre};
use super::bindings::resource::{ResourceStrategy, ResourceStrategyPre};
use super::bindings::{log, types as w};
use super::convert::{self, Lift as _};
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
pub(crate) enum Driver {
    Pod(PodStrategyPre<CallState>),
    Resource(ResourceStrategyPre<CallState>),
}

/// The context of a call: engine, permits and limits.
pub(crate) struct Call<'a> {
    pub(crate) engine: &'a wasmtime::Engine,
    pub(crate) permits: &'a Permits,
    pub(crate) limits: Limits,
}

/// The result of a call.
type Answered<T> = Result<Called<T>, CallError>;

impl Driver {
    /// Type-checks the exports of `world` once, so that calls need not.
    pub(crate) fn new(pre: InstancePre<CallState>, world: World) -> wasmtime::Result<Self> {
        Ok(match world {
            World::Pod => Self::Pod(PodStrategyPre::new(pre)?),
            World::Resource => Self::Resource(ResourceStrategyPre::new(pre)?),
        })
    }

    pub(crate) fn describe(&self, on: &Call<'_>) -> Answered<Result<c::Descriptor, ContractViolation>> {
        on.call(
            "describe",
            |store| match self {
                Self::Pod(pre) => pod(pre, store)?.backstay_strategy_about().call_describe(store),
                Self::Resource(pre) => resource(pre, store)?.backstay_strategy_about().call_describe(store),
            },
            // A broken rule is kept apart from a failed call: at load it is an error of the component's author.
            |raw: w::Descriptor| Ok(raw.lift(&mut Answer::with_text(&on.limits, DESCRIPTOR_BYTES))),
        )
    }

    pub(crate) fn measure_instance(&self, on: &Call<'_>) -> Result<InstanceCost, CallError> {
        call::measure_instance(on.engine, on.permits, on.limits, |store| match self {
            Self::Pod(pre) => pod(pre, store).map(drop),
            Self::Resource(pre) => resource(pre, store).map(drop),
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
            |store| match self {
                Self::Pod(pre) => {
                    let guest = pod(pre, store)?;
                    guest.backstay_strategy_about().call_validate(store, kind, strategy, parameters, options)
                }
                Self::Resource(pre) => {
                    let guest = resource(pre, store)?;
                    guest.backstay_strategy_about().call_validate(store, kind, strategy, parameters, options)
                }
            },
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
        let pre = self.as_pod("render")?;
        let (request, application) = on.lower("render", |lower| {
            Ok((lower.request(request)?, application.map(|a| lower.json("application", a)).transpose()?))
        })?;
        on.call(
            "render",
            |store| {
                pod(pre, store)?.backstay_strategy_pod_driver().call_render(
                    store,
                    &request,
                    application.as_ref(),
                )
            },
            |raw| on.read(raw, check),
        )
    }

    pub(crate) fn parse(
        &self,
        on: &Call<'_>,
        request: &c::Request,
        ended: &c::PodResult,
        check: impl FnOnce(&Result<c::Outcome, c::Failure>) -> Result<(), ContractViolation>,
    ) -> Answered<Result<c::Outcome, c::Failure>> {
        let pre = self.as_pod("parse")?;
        let (request, ended) =
            on.lower("parse", |lower| Ok((lower.request(request)?, lower.pod_result("ended", ended)?)))?;
        on.call(
            "parse",
            |store| pod(pre, store)?.backstay_strategy_pod_driver().call_parse(store, &request, &ended),
            |raw| on.read(raw, check),
        )
    }

    pub(crate) fn step(
        &self,
        on: &Call<'_>,
        request: &c::Request,
        view: &c::View,
        check: impl FnOnce(&c::StepResult) -> Result<(), ContractViolation>,
    ) -> Answered<c::StepResult> {
        let Self::Resource(pre) = self else { return Err(wrong_world("step", "resource-driver")) };
        let (request, view) = on.lower("step", |lower| Ok((lower.request(request)?, lower.view(view)?)))?;
        on.call(
            "step",
            |store| {
                resource(pre, store)?.backstay_strategy_resource_driver().call_step(store, &request, &view)
            },
            |raw| on.read(raw, check),
        )
    }

    fn as_pod(&self, call: &'static str) -> Result<&PodStrategyPre<CallState>, CallError> {
        match self {
            Self::Pod(pre) => Ok(pre),
            Self::Resource(_) => Err(wrong_world(call, "pod-driver")),
        }
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
