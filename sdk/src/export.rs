//! The export macros: one line makes an author's crate a component.

/// Makes the crate a component of the contract's world `pod-strategy`, implemented by the given type.
///
/// ```
/// # use backstay_sdk::{prelude::*, Value};
/// # #[derive(serde::Deserialize, schemars::JsonSchema)]
/// # struct TapeSpec {}
/// struct Tape;
/// # impl Strategy for Tape {
/// #     const NAME: &'static str = "tape";
/// #     const VERSION: &'static str = "0.1.0";
/// #     const KIND: Kind = Kind { group: "example.org", version: "v1", kind: "Tape", plural: "tapes" };
/// #     const TRAITS: Traits = Traits::NONE;
/// #     const LONGEST_RUN: u32 = 60;
/// #     type Spec = TapeSpec;
/// # }
/// # impl PodStrategy for Tape {
/// #     fn render(_: &Request<TapeSpec>, _: Option<&Value>) -> Result<PodRun, Failure> {
/// #         Ok(PodRun::new(Value::Null))
/// #     }
/// #     fn parse(_: &Request<TapeSpec>, _: &PodResult) -> Result<Outcome, Failure> {
/// #         Ok(Outcome::default())
/// #     }
/// # }
/// backstay_sdk::export_pod!(Tape);
/// ```
#[macro_export]
macro_rules! export_pod {
    ($strategy:ty) => {
        #[cfg(target_arch = "wasm32")]
        const _: () = {
            type Exported = $crate::component::Component<$strategy>;
    $crate::bindings::about::export_about!(Exported with_types_in $crate::bindings::about);
    $crate::bindings::pod::export_pod_driver!(Exported with_types_in $crate::bindings::pod);
        };
        #[cfg(not(target_arch = "wasm32"))]
        const _: () = $crate::component::is_pod_strategy::<$strategy>();
    };
}

/// Makes the crate a component of the contract's world `resource-strategy`, implemented by the given type.
#[macro_export]
macro_rules! export_resource {
    ($strategy:ty) => {
        #[cfg(target_arch = "wasm32")]
        const _: () = {
            type Exported = $crate::component::Component<$strategy>;
    $crate::bindings::about::export_about!(Exported with_types_in $crate::bindings::about);
            $crate::bindings::resource::export_resource_driver!(
                Exported with_types_in $crate::bindings::resource
            );
        };
        #[cfg(not(target_arch = "wasm32"))]
        const _: () = $crate::component::is_resource_strategy::<$strategy>();
    };
}
