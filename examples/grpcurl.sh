#!/bin/sh
# Segue from a shell, with nothing but grpcurl: the server tells its own protos by reflection.
#
#   examples/grpcurl.sh localhost:50051 anna
#
# SEGUE_KEY is an API key or a token. GRPCURL_OPTIONS: "-plaintext", or "-cacert ca.pem" for TLS.
set -eu
address=${1:-localhost:50051}
user=${2:-somebody}

call() {  # METHOD JSON
  # shellcheck disable=SC2086 # options are words
  grpcurl ${GRPCURL_OPTIONS--plaintext} ${SEGUE_KEY:+-H "authorization: Bearer $SEGUE_KEY"} \
    -max-time 5 -d "$2" "$address" "$1"
}

echo "--- is it well?"
call grpc.health.v1.Health/Check '{}'

echo "--- the next tracks for a listener, licensed in Sweden, nothing explicit"
call segue.v1.RecommendationService/Recommend '{
  "request_id": "grpcurl-1", "user_id": "'"$user"'", "limit": 3,
  "filters": {"market": "SE", "explicit": "EXPLICIT_FILTER_EXCLUDE_EXPLICIT"}
}'

echo "--- more for a playlist, by the names of its tracks"
call segue.v1.RecommendationService/ContinuePlaylist '{
  "seeds": [{"name": {"artist": "Coldplay", "title": "Clocks"}}, {"name": {"artist": "Keane", "title": "Bedshaped"}}],
  "limit": 3
}'

echo "--- what the listener did"
call segue.v1.FeedbackService/RecordEvents '{
  "events": [{
    "event_id": "grpcurl-event-1", "user_id": "'"$user"'", "track": {"track_id": "t1"}, "action": "ACTION_LIKE",
    "request_id": "grpcurl-1"
  }]
}'

echo "--- how the first answer came about (needs the scope admin)"
call segue.v1.AdminService/Explain '{"asked_request_id": "grpcurl-1"}'
