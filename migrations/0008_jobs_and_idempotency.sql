-- Jobs on their way to the queue, and answers kept for repeated requests (spec/01-platform.md).

-- Written with the change a job belongs to; the worker's relay moves rows into the queue. No NOTIFY here: it would
-- serialise every commit behind one lock.
create table outbox (
    id            bigint generated always as identity primary key,
    org_id        uuid references organizations (id),
    task          text not null check (length(task) between 1 and 128),
    payload       jsonb not null check (jsonb_typeof(payload) = 'object'),
    queue         text check (length(queue) <= 90),
    key           text check (length(key) <= 400),
    run_at        timestamptz,
    max_attempts  smallint not null check (max_attempts > 0),
    priority      smallint not null default 0,
    flags         text[],
    created_at    timestamptz not null default now()
);
create index outbox_by_org on outbox (org_id, id);
select make_tenant_table('outbox');
create policy service_enqueues on outbox for insert to voxanne_service with check (org_id is null);
create policy queue on outbox to voxanne_queue using (true) with check (true);
grant insert on outbox to voxanne_app, voxanne_service;
grant select, update, delete on outbox to voxanne_queue;

create table idempotency_keys (
    org_id        uuid not null references organizations (id),
    key           text not null check (length(key) between 1 and 255),
    -- SHA-256 over method, path and body: the same key with another request is refused.
    fingerprint   bytea not null,
    -- Null while the first request is still running.
    status        smallint,
    content_type  text,
    body          bytea,
    -- A request that holds the key and died is given up after this time.
    held_until    timestamptz not null,
    created_at    timestamptz not null default now(),
    primary key (org_id, key)
);
create index idempotency_keys_oldest on idempotency_keys (created_at);
select make_tenant_table('idempotency_keys');
create policy service_expires on idempotency_keys for select to voxanne_service using (true);
create policy service_expires_delete on idempotency_keys for delete to voxanne_service using (true);
grant select, insert, update, delete on idempotency_keys to voxanne_app;
grant select, delete on idempotency_keys to voxanne_service;
