#!/bin/sh
# Five decisions about one case of dagpenger, each the whole of what it pays, each behind the one before.
#
#     kvitt up                            # in another terminal
#     sh examples/rest/decisions.sh
#     kvitt decision list dp S700         # what was posted, by whom, and what became of it
#
# Behind each call stands the answer. API is where kvitt answers, if not at http://127.0.0.1:8080.
set -eu
api=${API:-http://127.0.0.1:8080}
approver=$(kvitt token --for dp-mellom --scheme dp --person Z990001 --approver dp)
machine=$(kvitt token --for dp-mellom --scheme dp --machine)

decide() { curl -sS -w ' %{http_code}\n' -H "Authorization: Bearer $1" --json @- "$api/api/iverksetting/v2"; }
status() { curl -sS -H "Authorization: Bearer $machine" "$api/api/iverksetting/S700/$1/status"; }
settled() { until status "$1" | grep -q OK; do sleep 0.2; done; status "$1"; echo; }
decision() { # id, previous decision, payments, and more of the decision: a frame
    printf '{"sakId": "S700", "behandlingId": "%s", "personident": "01820390012", "forrigeIverksetting": %s,' "$1" "$2"
    printf ' "vedtak": {"vedtakstidspunkt": "2026-06-01T09:00:00", "saksbehandlerId": "Z990003", "beslutterId": "Z990001", "utbetalinger": [%s]%s}}\n' "$3" "${4-}"
}
ask() { curl -sS -w ' %{http_code}\n' -H "Authorization: Bearer $machine" --json @- "$api/api/simulering/v2"; }
question() { # previous decision, payments
    printf '{"sakId": "S700", "behandlingId": "3", "personident": "01820390012", "saksbehandlerId": "Z990003",'
    printf ' "forrigeIverksetting": %s, "utbetalinger": [%s]}\n' "$1" "$2"
}
pays() { # first day, last day, kroner a day; in June 2026
    printf '{"beløp": %s, "satstype": "DAGLIG", "fraOgMedDato": "2026-06-%s", "tilOgMedDato": "2026-06-%s",' "$3" "$1" "$2"
    printf ' "stønadsdata": {"stønadstype": "DAGPENGER_ARBEIDSSØKER_ORDINÆR", "meldekortId": "M-2026-06", "fastsattDagsats": 1540}}'
}

# Only an approver opens a case; the frame says from which day the application may pay, and up to how much.
decision 1 null "$(pays 01 05 1510)" | decide "$machine"
# {"statusCode":403,"msg":"Første vedtak på en sak må sendes av en ansatt med beslutter-rolle","doc":"https://helved-docs.ansatt.dev.nav.no/async/kom_i_gang","system":"HELVED"} 403
decision 1 null "" ', "virkningstidspunkt": "2026-06-01", "maksbeløpPerDag": 1600' | decide "$approver"
# 202
settled 1
# "OK_UTEN_UTBETALING"

# The application pays two weeks. The same decision again is the same decision.
two="$(pays 01 05 1510), $(pays 08 12 1510)"
decision 2 '{"behandlingId": "1"}' "$two" | decide "$machine"
# 202
decision 2 '{"behandlingId": "1"}' "$two" | decide "$machine"
# 202
settled 2
# "OK"

# What a decision would lead to can be asked before it is sent, behind the latest one: what is paid already changes nothing.
question '{"behandlingId": "1"}' "$two" | ask
# {"statusCode":400,"msg":"Forrige iverksetting stemmer ikke med siste mottatte iverksetting på saken. BehandlingId/IverksettingId forrige iverksetting: 1/null, behandlingId/iverksettingId siste mottatte iverksetting: 2/null","doc":"https://helved-docs.ansatt.dev.nav.no/async/kom_i_gang/opprett_utbetaling","system":"HELVED"} 400
question '{"behandlingId": "2"}' "$two" | ask
# 204

# A correction of one day and two more weeks, in one decision.
four="$(pays 01 04 1510), $(pays 05 05 1180), $(pays 08 12 1510), $(pays 15 19 1510), $(pays 22 26 1510)"
decision 3 '{"behandlingId": "2"}' "$four" | decide "$machine"
# 202
settled 3
# "OK"

# Above the cap the application may not pay. The approver raises it, and changes nothing else.
more="$four, $(pays 29 30 1700)"
decision 4 '{"behandlingId": "3"}' "$more" | decide "$machine"
# {"statusCode":403,"msg":"Beløp over maksgrensen på 1600 kr per dag må sendes av en ansatt med beslutter-rolle","doc":"https://helved-docs.ansatt.dev.nav.no/async/kom_i_gang","system":"HELVED"} 403
decision 4 '{"behandlingId": "3"}' "$four" ', "virkningstidspunkt": "2026-06-01", "maksbeløpPerDag": 1800' | decide "$approver"
# 202
settled 4
# "OK_UTEN_UTBETALING"

# A decision names the latest one, and no other.
decision 5 '{"behandlingId": "3"}' "$more" | decide "$machine"
# {"statusCode":400,"msg":"Forrige iverksetting stemmer ikke med siste mottatte iverksetting på saken. BehandlingId/IverksettingId forrige iverksetting: 3/null, behandlingId/iverksettingId siste mottatte iverksetting: 4/null","doc":"https://helved-docs.ansatt.dev.nav.no/async/kom_i_gang/opprett_utbetaling","system":"HELVED"} 400
decision 5 '{"behandlingId": "4"}' "$more" | decide "$machine"
# 202
settled 5
# "OK"
