//! The ports of voxanne-pricing on PostgreSQL.

mod services;

crate::tx::begins!(voxanne_pricing::CatalogueTx, voxanne_pricing::PriceTx);
