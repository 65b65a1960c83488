-- Long statements rest now and then, so that nobody need wait for a processor; not while there is nobody.

CREATE FUNCTION rest_while_others_work(seconds double precision) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    number_now  text := pg_sequence_last_value('message_numbers')::text;
    number_seen text := nullif(current_setting('kvitt.message_number_seen', true), '');
BEGIN
    PERFORM set_config('kvitt.message_number_seen', number_now, true);
    IF number_seen IS NOT NULL AND number_seen <> number_now THEN
        PERFORM pg_sleep(seconds);
    END IF;
    RETURN true;
END
$$;
COMMENT ON FUNCTION rest_while_others_work IS 'Rests for so long if messages have come in since it was last called in this transaction.';
