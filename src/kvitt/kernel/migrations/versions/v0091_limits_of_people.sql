-- Limits of sources that two people have set: before those of the settings, until they end or are cleared.

CREATE TABLE source_limits (
    source           text        PRIMARY KEY CHECK (source <> '' AND position(':' IN source) = 0),
    kroner_per_order bigint      CHECK (kroner_per_order >= 0),
    kroner_per_hour  bigint      CHECK (kroner_per_hour >= 0),
    until            timestamptz,
    set_at           timestamptz NOT NULL,
    set_by           text        NOT NULL,
    approved_by      text        NOT NULL,
    reason           text        NOT NULL,
    CHECK (kroner_per_order IS NOT NULL OR kroner_per_hour IS NOT NULL)
);
COMMENT ON TABLE source_limits IS 'The most that sources may have paid, as two people have set it; what is null is as the settings have it.';

CREATE VIEW kvitt_views.source_limits AS
SELECT l.source, l.kroner_per_order, l.kroner_per_hour, l.until, l.set_at, l.set_by, l.approved_by, l.reason FROM public.source_limits AS l;
