#!/bin/sh
# The life of one payment of AAP: made, read, put back, changed, ceased, and moved to its stream.
#
#     kvitt up                            # in another terminal
#     sh examples/rest/payment.sh
#
# Behind each call stands the answer. API is where kvitt answers, if not at http://127.0.0.1:8080.
set -eu
payment=${API:-http://127.0.0.1:8080}/utbetalinger/7d2f0b52-0c1e-4f6a-9b37-5f0f4f6f1a01
token=$(kvitt token --for utbetal --scheme aap --machine)

call() { curl -sS -w ' %{http_code}\n' -H "Authorization: Bearer $token" "$@"; }
settled() { until call "$payment/status" | grep -q -e OK -e FEILET; do sleep 0.2; done; call "$payment/status"; }
body() { # days of the second week of June 2026, kroner a day
    days=
    for day in $1; do
        days="$days${days:+, }{\"fom\": \"2026-06-$day\", \"tom\": \"2026-06-$day\", \"beløp\": $2, \"fastsattDagsats\": 1140}"
    done
    printf '{"sakId": "AAP-81100", "behandlingId": "51", "personident": "01820390012", "vedtakstidspunkt": "2026-06-15T09:00:00",'
    printf ' "stønad": "AAP_UNDER_ARBEIDSAVKLARING", "beslutterId": "B200002", "saksbehandlerId": "A100001", "periodeType": "UKEDAG",'
    printf ' "perioder": [%s], "avvent": null}\n' "$days"
}

# An amount of 0 is none. The payment is made under an id of the caller's own.
body "08" 0 | call --json @- "$payment"
# {"statusCode":400,"msg":"Beløp må være > 0","doc":"https://helved-docs.ansatt.dev.nav.no/async/kom_i_gang/opprett_utbetaling#ugyldig-belop","system":"HELVED"} 400
body "08 09 10 11 12" 910 | call --json @- "$payment"
# 201
settled
# "OK" 200
body "08 09 10 11 12" 910 | call --json @- "$payment"
# {"statusCode":409,"msg":"Utbetaling med uid 7d2f0b52-0c1e-4f6a-9b37-5f0f4f6f1a01 finnes allerede","doc":"https://helved-docs.ansatt.dev.nav.no","system":"HELVED"} 409

# What is read can be put back: nothing changes.
curl -sS -H "Authorization: Bearer $token" "$payment" | call -X PUT --json @- "$payment"
# {"statusCode":409,"msg":"Ingen reell endring","doc":"https://helved-docs.ansatt.dev.nav.no/async/kom_i_gang/endre_utbetaling#minimum-changes","system":"HELVED"} 409

# Two days fewer, and more on the others.
body "08 09 10" 940 | call -X PUT --json @- "$payment"
# 204
settled
# "OK" 200

# To cease it one says what is paid.
body "08 09 10 11 12" 910 | call -X DELETE --json @- "$payment"
# {"statusCode":400,"msg":"Periodene i utbetalingen samsvarer ikke med det som er lagret hos utsjekk.","doc":"https://helved-docs.ansatt.dev.nav.no","system":"HELVED"} 400
body "08 09 10" 940 | call -X DELETE --json @- "$payment"
# 204
call "$payment"
# {"statusCode":404,"msg":"Fant ikke utbetaling med uid 7d2f0b52-0c1e-4f6a-9b37-5f0f4f6f1a01","doc":"https://helved-docs.ansatt.dev.nav.no","system":"HELVED"} 404
settled
# "OK" 200

# The case goes on in the stream of AAP, with its lines; from then on nothing else changes it. The same once more does nothing.
call --json '{"id": "1a7c6f30-5b0d-4c8e-8f0a-2d4b6c8e0f02"}' "$payment/migrate"
# 200
call --json '{"id": "1a7c6f30-5b0d-4c8e-8f0a-2d4b6c8e0f02"}' "$payment/migrate"
# 200
body "08 09 10" 940 | call --json @- "$payment"
# {"statusCode":409,"msg":"Saken hører til kontrakten helved, og kan bare endres gjennom den","doc":"https://helved-docs.ansatt.dev.nav.no","system":"HELVED"} 409
