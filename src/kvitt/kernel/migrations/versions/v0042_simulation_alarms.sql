-- Alarms about rails that answer no simulation within their opening hours, one at a time per rail; and simulations as others may read them.

CREATE TABLE rail_alarms (
    alarm_no   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    rail       text        NOT NULL,
    since      timestamptz NOT NULL,
    raised_at  timestamptz NOT NULL,
    cleared_at timestamptz
);
CREATE UNIQUE INDEX rail_alarms_standing ON rail_alarms (rail) WHERE cleared_at IS NULL;
COMMENT ON TABLE rail_alarms IS 'Rails that answered no simulation within their opening hours, and when they answered again.';
COMMENT ON COLUMN rail_alarms.since IS 'When the first simulation that was not answered had ended.';

CREATE INDEX simulation_requests_ended ON simulation_requests (rail, ended_at) WHERE ended_at IS NOT NULL AND times_asked > 0;

CREATE VIEW kvitt_views.simulations AS
SELECT r.request_no, r.asker, r.contract, r.caller, r.message_no, c.scheme, c.case_id, r.rail, r.state, r.requested_at, r.asked_at,
       r.times_asked, r.ended_at, r.reason
FROM public.simulation_requests AS r JOIN public.cases AS c ON c.case_no = r.case_no;

CREATE VIEW kvitt_views.rail_alarms AS
SELECT a.alarm_no, a.rail, a.since, a.raised_at, a.cleared_at FROM public.rail_alarms AS a;
