//! The request of ours that a request to a provider is made for.

use std::sync::Arc;

tokio::task_local! {
    static REQUEST: Arc<str>;
}

/// The header that carries it.
pub(crate) const HEADER: &str = "x-request-id";

/// Runs `work` as part of the request `id`, which every request to a provider then names.
pub async fn within_request<T>(id: Arc<str>, work: impl Future<Output = T>) -> T {
    REQUEST.scope(id, work).await
}

/// The request this is part of, if any.
pub(crate) fn current() -> Option<Arc<str>> {
    REQUEST.try_with(Arc::clone).ok()
}
