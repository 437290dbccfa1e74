// Segue from Node.js: the tracks for a listener, what the listener did with them, and the tracks after that.
//
//   npm install && node segue.js localhost:50051 anna
//
// SEGUE_KEY is an API key or a token; SEGUE_TLS the PEM file of the authority that signed the server's certificate.

const crypto = require('node:crypto');
const fs = require('node:fs');
const path = require('node:path');
const grpc = require('@grpc/grpc-js');
const loader = require('@grpc/proto-loader');

const PROTOS = path.join(__dirname, '../../protos');
const DEADLINE_MS = 500;

// Code is made of the protos as they are read. int64 become strings, since a JavaScript number holds only 53 bits;
// oneofs lets a message say which way a track is named.
const definition = loader.loadSync(['segue/v1/recommendation.proto', 'segue/v1/feedback.proto'], {
  includeDirs: [PROTOS], keepCase: true, longs: String, enums: String, defaults: true, oneofs: true,
});
const { segue: { v1 } } = grpc.loadPackageDefinition(definition);

class Segue {
  constructor(address, { key = process.env.SEGUE_KEY, authority = process.env.SEGUE_TLS } = {}) {
    const credentials = authority
      ? grpc.credentials.createSsl(fs.readFileSync(authority))
      : grpc.credentials.createInsecure();
    // The same retries as every other client: see docs/serving.md.
    const config = fs.readFileSync(path.join(PROTOS, 'segue/v1/service_config.json'), 'utf8');
    const options = { 'grpc.service_config': config, 'grpc.enable_http_proxy': 0 };
    this.metadata = new grpc.Metadata();
    if (key) this.metadata.set('authorization', `Bearer ${key}`);
    this.recommendation = new v1.RecommendationService(address, credentials, options);
    this.feedback = new v1.FeedbackService(address, credentials, options);
  }

  recommend(request) { return this.call(this.recommendation, 'Recommend', request); }

  continuePlaylist(request) { return this.call(this.recommendation, 'ContinuePlaylist', request); }

  similarTracks(request) { return this.call(this.recommendation, 'SimilarTracks', request); }

  recordEvents(request) { return this.call(this.feedback, 'RecordEvents', request); }

  // An answer, or an Error with the status's `code` and `details`, within the deadline.
  call(stub, method, request) {
    return new Promise((resolve, reject) => {
      const options = { deadline: Date.now() + DEADLINE_MS };
      stub[method](request, this.metadata, options, (error, response) => (error ? reject(error) : resolve(response)));
    });
  }

  close() {
    this.recommendation.close();
    this.feedback.close();
  }
}

function print(answer) {
  console.log(`${answer.tracks.length} tracks from bundle ${answer.bundle}`);
  for (const { code, message } of answer.fallbacks) console.log(`  fallback ${code}: ${message}`);
  for (const { track, reason } of answer.tracks) {
    console.log(`  ${track.track_id}  ${track.artist} - ${track.title}  (${reason.text})`);
  }
}

async function main(address, userId) {
  const segue = new Segue(address);
  try {
    const answer = await segue.recommend({ user_id: userId, limit: 5, filters: { market: 'SE' } });
    print(answer);
    if (answer.tracks.length) {
      const { stored } = await segue.recordEvents({
        events: [{
          // Made once for an event: sending it again with the same id changes nothing.
          event_id: crypto.randomUUID(),
          user_id: userId,
          track: { track_id: answer.tracks[0].track.track_id },
          action: 'ACTION_LIKE',
          request_id: answer.request_id,
        }],
      });
      console.log(`${stored} event stored`);
    }
    print(await segue.recommend({ user_id: userId, limit: 5 }));
  } finally {
    segue.close();
  }
}

if (require.main === module) {
  main(process.argv[2] || 'localhost:50051', process.argv[3] || 'somebody').catch((error) => {
    console.error(`${grpc.status[error.code] || 'error'}: ${error.details || error.message}`);
    process.exitCode = 1;
  });
}

module.exports = { Segue };
