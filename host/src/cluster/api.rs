//! Reads and writes of objects whose answers are decoded in parts (see [`super::partial`]).
//!
//! It has the functions of `kube::Api` that the controller uses. Answers of `kube::Api` decode as a whole, `managedFields`
//! included, so that one odd value in an object that a tenant can write makes every read of it fail: no other module uses it.

use std::fmt::Debug;
use std::marker::PhantomData;

use kube::Client;
use kube::api::{DeleteParams, ListParams, ObjectList, PartialObjectMeta, Patch, PatchParams, PostParams};
use kube::core::{ListMeta, NamespaceResourceScope, Request, Resource};
use serde::Serialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use super::pages::PAGE;
use super::partial::{Partial, PartialDecode};

/// The objects of a kind.
pub struct Api<K> {
    partial: kube::Api<Partial<K>>,
    client: Client,
}

impl<K: Clone> Clone for Api<K> {
    fn clone(&self) -> Self {
        Self { partial: self.partial.clone(), client: self.client.clone() }
    }
}

/// A page of a list.
#[derive(Debug)]
pub struct Page<K> {
    /// The objects.
    pub items: Vec<K>,
    /// The metadata of the list.
    pub metadata: ListMeta,
}

/// A page of a list whose objects are not decoded yet: together they may take far more memory than their texts.
#[derive(Debug)]
pub struct Texts<K> {
    items: Vec<Box<RawValue>>,
    /// The metadata of the list.
    pub metadata: ListMeta,
    kind: PhantomData<K>,
}

impl<K: PartialDecode> Texts<K> {
    /// Decodes the objects one by one.
    pub fn objects(self) -> impl Iterator<Item = Result<K, kube::Error>> {
        let decode = |text: Box<RawValue>| serde_json::from_str::<Partial<K>>(text.get());
        self.items.into_iter().map(move |text| decode(text).map_err(kube::Error::SerdeError)?.decoded())
    }
}

impl<K: PartialDecode> Api<K> {
    /// Returns the objects of a kind in a namespace.
    #[must_use]
    pub fn namespaced(client: Client, namespace: &str) -> Self
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        Self { partial: kube::Api::namespaced(client.clone(), namespace), client }
    }

    /// Returns the objects of a kind in all namespaces, or of a cluster-scoped kind.
    #[must_use]
    pub fn all(client: Client) -> Self
    where
        K: Resource<DynamicType = ()>,
    {
        Self { partial: kube::Api::all(client.clone()), client }
    }

    /// As [`Self::namespaced`], of a kind that is known only at run time.
    #[must_use]
    pub fn namespaced_with(client: Client, namespace: &str, resource: &K::DynamicType) -> Self
    where
        K: Resource<Scope = kube::core::DynamicResourceScope>,
    {
        Self { partial: kube::Api::namespaced_with(client.clone(), namespace, resource), client }
    }

    /// As [`Self::all`], of a kind that is known only at run time.
    #[must_use]
    pub fn all_with(client: Client, resource: &K::DynamicType) -> Self {
        Self { partial: kube::Api::all_with(client.clone(), resource), client }
    }

    /// Returns the URL of the objects.
    #[must_use]
    pub fn resource_url(&self) -> &str {
        self.partial.resource_url()
    }

    /// Returns the client.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Returns the API that a watch takes.
    #[must_use]
    pub fn watched(self) -> kube::Api<Partial<K>> {
        self.partial
    }

    /// Reads an object.
    ///
    /// # Errors
    /// The API server's; the object does not decode.
    pub async fn get(&self, name: &str) -> Result<K, kube::Error> {
        self.partial.get(name).await?.decoded()
    }

    /// Reads an object; `None` if it does not exist.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub async fn get_opt(&self, name: &str) -> Result<Option<K>, kube::Error> {
        self.partial.get_opt(name).await?.map(Partial::decoded).transpose()
    }

    /// Lists objects.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub async fn list(&self, params: &ListParams) -> Result<Page<K>, kube::Error> {
        let page = self.partial.list(params).await?;
        let items = page.items.into_iter().map(Partial::decoded).collect::<Result<_, _>>()?;
        Ok(Page { items, metadata: page.metadata })
    }

    /// Lists objects, to be decoded one by one.
    ///
    /// # Errors
    /// The API server's.
    pub async fn list_texts(&self, params: &ListParams) -> Result<Texts<K>, kube::Error> {
        let request = Request::new(self.resource_url()).list(params).map_err(kube::Error::BuildRequest)?;
        let page: ObjectList<Box<RawValue>> = self.client.request(request).await?;
        Ok(Texts { items: page.items, metadata: page.metadata, kind: PhantomData })
    }

    /// Lists objects page by page, however many there are, and hands on each. One that does not decode is left out: it keeps no
    /// other one from being handed on.
    ///
    /// # Errors
    /// The API server's.
    pub async fn each(&self, params: &ListParams, mut each: impl FnMut(K)) -> Result<(), kube::Error> {
        let mut params = params.clone().limit(PAGE);
        loop {
            let page = self.list_texts(&params).await?;
            params.continue_token = page.metadata.continue_.clone().filter(|token| !token.is_empty());
            page.objects().flatten().for_each(&mut each);
            if params.continue_token.is_none() {
                return Ok(());
            }
        }
    }

    /// Lists the metadata of objects.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub async fn list_metadata(
        &self,
        params: &ListParams,
    ) -> Result<Page<PartialObjectMeta<K>>, kube::Error> {
        let request =
            Request::new(self.resource_url()).list_metadata(params).map_err(kube::Error::BuildRequest)?;
        let page: ObjectList<Partial<PartialObjectMeta<K>>> = self.client.request(request).await?;
        let items = page.items.into_iter().map(Partial::decoded).collect::<Result<_, _>>()?;
        Ok(Page { items, metadata: page.metadata })
    }

    /// Deletes an object.
    ///
    /// # Errors
    /// The API server's.
    pub async fn delete(&self, name: &str, params: &DeleteParams) -> Result<(), kube::Error> {
        let request =
            Request::new(self.resource_url()).delete(name, params).map_err(kube::Error::BuildRequest)?;
        // The answer is the object, or that it is gone: neither is read.
        self.client.request::<IgnoredAny>(request).await.map(drop)
    }

    /// Patches an object.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub async fn patch<P: Serialize + Debug>(
        &self,
        name: &str,
        params: &PatchParams,
        patch: &Patch<P>,
    ) -> Result<K, kube::Error> {
        self.partial.patch(name, params, patch).await?.decoded()
    }

    /// Patches the status of an object.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub async fn patch_status<P: Serialize + Debug>(
        &self,
        name: &str,
        params: &PatchParams,
        patch: &Patch<P>,
    ) -> Result<K, kube::Error> {
        self.partial.patch_status(name, params, patch).await?.decoded()
    }

    /// Creates an object.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub async fn create(&self, params: &PostParams, object: &K) -> Result<K, kube::Error>
    where
        K: Serialize,
    {
        self.partial.create(params, &Partial(Ok(object.clone()))).await?.decoded()
    }

    /// Replaces an object.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub async fn replace(&self, name: &str, params: &PostParams, object: &K) -> Result<K, kube::Error>
    where
        K: Serialize,
    {
        self.partial.replace(name, params, &Partial(Ok(object.clone()))).await?.decoded()
    }
}
