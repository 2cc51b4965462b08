//! The ports of voxanne-telephony on PostgreSQL.

mod hybrid_across;
mod hybrid_caller_ids;
mod hybrid_forwardings;
mod line;
mod numbers;
mod numbers_across;
mod numbers_row;

pub use numbers_across::Access;

crate::tx::begins!(
    voxanne_telephony::LineTx,
    voxanne_telephony::hybrid::ports::HybridTx,
    voxanne_telephony::numbers::NumbersTx
);
crate::tx::begins_system!(voxanne_telephony::hybrid::ports::AcrossTx);
