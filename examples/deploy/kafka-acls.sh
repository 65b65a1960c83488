#!/bin/sh
# The rights of kvitt on Kafka, for a cluster that refuses what is not allowed:
#   sh kafka-acls.sh BROKER:PORT ADMIN.PROPERTIES [USER] [GROUP] [RAPID] [OLD_GROUP]
# OLD_GROUP is that of a hub which kvitt takes over from: kvitt may look where it has come to.
set -eu
BROKER=$1 ADMIN=$2 USER=${3:-kvitt} GROUP=${4:-kvitt} RAPID=${5:-tbd.rapid.v1} OLD_GROUP=${6:-}

# Other teams' topics.
EXTERNAL="
teamdagpenger.utbetaling.v1
aap.utbetaling.v1
tilleggsstonader.utbetaling.v1
historisk.utbetaling.v1
team-mulighetsrommet.tilskudd.utbetaling-v1
"
# Read, and written by `kvitt dead replay`.
INTERNAL="
helved.utbetalinger-dp.v1
helved.utbetalinger-aap.v1
helved.utbetalinger-ts.v1
helved.utbetalinger-historisk.v1
helved.utbetalinger-valp.v1
helved.utbetalinger-tp.v1
"
# Written by the relay.
OUTPUTS="
helved.pending-utbetalinger.v1
helved.utbetalinger.v1
helved.saker.v1
helved.oppdrag.v1
helved.status.v1
helved.simuleringer.v1
helved.dryrun-aap.v1
helved.dryrun-dp.v1
helved.dryrun-ts.v1
helved.dryrun-tp.v1
pm-events-payout
"
# Read by `kvitt import helved`; the statuses by `kvitt submit`, which also needs Write on a topic of EXTERNAL.
READ_BACK="
helved.utbetalinger.v1
helved.saker.v1
helved.status.v1
"

allow() {
    kafka-acls --bootstrap-server "$BROKER" --command-config "$ADMIN" --add --allow-principal "User:$USER" "$@"
}
for topic in $EXTERNAL; do allow --operation Read --operation Describe --topic "$topic"; done
for topic in $INTERNAL; do allow --operation Read --operation Write --operation Describe --operation DescribeConfigs --topic "$topic"; done
for topic in $OUTPUTS; do allow --operation Write --operation Describe --operation DescribeConfigs --topic "$topic"; done
for topic in $READ_BACK; do allow --operation Read --topic "$topic"; done
allow --operation Read --operation Write --operation Describe --topic "$RAPID"

# kvitt, kvitt-rapid and kvitt-reader are groups of one prefix; the relay's transactions make it idempotent.
allow --operation Read --operation Describe --group "$GROUP" --resource-pattern-type prefixed
allow --operation Write --operation Describe --transactional-id "$GROUP-relay"
if [ -n "$OLD_GROUP" ]; then allow --operation Describe --group "$OLD_GROUP"; fi
# With `make_topics = true`, also: allow --operation Create --cluster
# For brokers older than 2.8, also: allow --operation IdempotentWrite --cluster
