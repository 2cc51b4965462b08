-- What was to be said about an appointment and is not true any more (spec/06-scheduling.md, Reminders).

-- Whether a message is of no use any more: it was taken back while it waited, or while a provider was being asked. It
-- is given to no other provider then.
alter table messages add column is_withdrawn boolean not null default false;
-- The time that was taken for now when it was decided whether it may leave; null for the clock's.
alter table messages add column as_of timestamptz;
create index messages_waiting_by_appointment on messages (org_id, appointment_id)
    where appointment_id is not null and status in ('queued', 'unknown');

-- A reminder that was taken back is not decided about any more: its appointment may come back to its time.
grant delete on appointment_reminders to voxanne_app;
