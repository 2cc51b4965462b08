-- Where Twilio posts texts to a number that we bought, as far as we know: with our address from the purchase on. Null for
-- one that was bought before, until the worker has given Twilio our address.
alter table managed_phone_numbers add column sms_url text check (length(sms_url) between 1 and 2000);

-- What rates and counts once were is forgotten by the nightly job: a bucket that is full again says no more than none,
-- and days and months that are over are never counted again. There is no index for it: the rows change with every
-- message, which would pay for it each time, and a night has time to look through them.
create policy service_expires on messaging_rates for select to voxanne_service using (true);
create policy service_expires_delete on messaging_rates for delete to voxanne_service using (true);
grant select, delete on messaging_rates to voxanne_service;
create policy service_expires on messaging_counts for select to voxanne_service using (true);
create policy service_expires_delete on messaging_counts for delete to voxanne_service using (true);
grant select, delete on messaging_counts to voxanne_service;
