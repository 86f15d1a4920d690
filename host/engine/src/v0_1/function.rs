//! One exported function of a component.
//!
//! The generated bindings type-check all exports of an instance, which takes as long as making it. A call needs one of them.

use wasmtime::Store;
use wasmtime::component::{
    Component, ComponentExportIndex, ComponentNamedList, InstancePre, Lift, Lower, TypedFunc,
};

use crate::call::CallState;

/// Where a function is among the exports.
pub(super) struct Function(ComponentExportIndex);

impl Function {
    /// Finds the function `name` of `interface`.
    ///
    /// # Errors
    /// The component has no such export.
    pub(super) fn find(component: &Component, interface: &str, name: &str) -> wasmtime::Result<Self> {
        let missing = || wasmtime::Error::msg(format!("{interface} has no function {name}"));
        let within = component.get_export_index(None, interface).ok_or_else(missing)?;
        component.get_export_index(Some(&within), name).map(Self).ok_or_else(missing)
    }

    /// Makes an instance with this function in it, and checks the type of the function.
    ///
    /// # Errors
    /// A limit of the store, or the function is of another type.
    pub(super) fn instance<P, R>(
        &self,
        pre: &InstancePre<CallState>,
        store: &mut Store<CallState>,
    ) -> wasmtime::Result<TypedFunc<P, (R,)>>
    where
        P: ComponentNamedList + Lower,
        R: Lift,
        (R,): ComponentNamedList + Lift,
    {
        let instance = pre.instantiate(&mut *store)?;
        let function = instance.get_typed_func::<P, (R,)>(&mut *store, &self.0)?;
        store.data_mut().instantiated();
        Ok(function)
    }

    /// Makes an instance and calls the function.
    ///
    /// # Errors
    /// As [`Function::instance`], and what the guest does wrong.
    pub(super) fn call<P, R>(
        &self,
        pre: &InstancePre<CallState>,
        store: &mut Store<CallState>,
        arguments: P,
    ) -> wasmtime::Result<R>
    where
        P: ComponentNamedList + Lower,
        R: Lift,
        (R,): ComponentNamedList + Lift,
    {
        let (answer,) = self.instance::<P, R>(pre, store)?.call(store, arguments)?;
        Ok(answer)
    }
}
