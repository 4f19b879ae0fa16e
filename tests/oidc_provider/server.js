// A certified OpenID provider for tiergate's end-to-end tests. Loopback only, plain http, no secrets.
//
//   node server.js PORT [REDIRECT_URI…]
//
// It prints `listening` when it is ready. Sign-in is automatic where the request has a `login_hint`,
// else one form with a name. `acr_values=urn:mfa` signs in with a second factor.
// POST /_test/rotate replaces the signing keys; POST /_test/shutdown ends it.

import { createServer } from 'node:http';
import { generateKeyPairSync, randomUUID } from 'node:crypto';
import Provider, { interactionPolicy } from 'oidc-provider';

const port = Number(process.argv[2] ?? 9000);
const redirectUris = process.argv.slice(3);
const issuer = `http://127.0.0.1:${port}`;

const accounts = {
  ann: { email: 'ann@corp.example', email_verified: true, name: 'Ann Example', groups: ['eng', 'staff'] },
  bob: { email: 'bob@corp.example', email_verified: false, name: 'Bob Example', groups: ['contractor'] },
  eve: { email: 'eve@corp.example@evil.example', email_verified: true, preferred_username: 'ann@corp.example' },
  many: { email: 'many@corp.example', email_verified: true, groups: Array.from({ length: 5001 }, (_, n) => `g${n}`) },
};

function signingKeys() {
  const key = (type, options, alg) => ({
    ...generateKeyPairSync(type, options).privateKey.export({ format: 'jwk' }),
    alg, use: 'sig', kid: randomUUID(),
  });
  return { keys: [key('rsa', { modulusLength: 2048 }, 'RS256'), key('ec', { namedCurve: 'P-256' }, 'ES256')] };
}

const { Check, base } = interactionPolicy;
const policy = base();
policy.get('login').checks.add(new Check('acr', 'a second factor is asked for', (ctx) => {
  const asked = (ctx.oidc.params.acr_values ?? '').split(' ');
  return asked.includes('urn:mfa') && ctx.oidc.session.acr !== 'urn:mfa' ? Check.REQUEST_PROMPT : Check.NO_NEED_TO_PROMPT;
}));

function makeProvider() {
  const provider = new Provider(issuer, {
    clients: [{
      client_id: 'tiergate',
      client_secret: 'not a secret: loopback tests only',
      redirect_uris: redirectUris.length > 0 ? redirectUris : ['https://login.localhost:8443/.tiergate/oidc/callback'],
      response_types: ['code'],
      grant_types: ['authorization_code'],
      id_token_signed_response_alg: process.env.ID_TOKEN_ALG ?? 'RS256',
    }],
    jwks: signingKeys(),
    cookies: { keys: ['only for tests'] },
    acrValues: ['urn:mfa'],
    claims: {
      openid: ['sub', 'acr', 'amr', 'auth_time'],
      email: ['email', 'email_verified'],
      profile: ['name', 'preferred_username', 'groups'],
    },
    pkce: { required: () => true },
    features: { devInteractions: { enabled: false } },
    interactions: { policy, url: (_, interaction) => `/interaction/${interaction.uid}` },
    findAccount: (_, id) => (accounts[id] ? { accountId: id, claims: () => ({ sub: id, ...accounts[id] }) } : undefined),
    async loadExistingGrant(ctx) {
      const grant = new ctx.oidc.provider.Grant({
        clientId: ctx.oidc.client.clientId, accountId: ctx.oidc.session.accountId,
      });
      grant.addOIDCScope('openid email profile');
      await grant.save();
      return grant;
    },
  });
  return { provider, handle: provider.callback() };
}

let current = makeProvider();

async function body(request) {
  let text = '';
  for await (const chunk of request) {
    text += chunk;
    if (text.length > 4096) throw new Error('too large');
  }
  return new URLSearchParams(text);
}

async function interaction(request, response) {
  const { provider } = current;
  const { params } = await provider.interactionDetails(request, response);
  const name = request.method === 'POST' ? (await body(request)).get('login') : params.login_hint;
  if (!accounts[name]) {
    response.writeHead(200, { 'content-type': 'text/html' });
    response.end('<!doctype html><title>Sign in</title><form method="post"><label>Name <input name="login"></label><button>Sign in</button></form>');
    return;
  }
  const mfa = (params.acr_values ?? '').split(' ').includes('urn:mfa');
  await provider.interactionFinished(request, response, {
    login: { accountId: name, amr: mfa ? ['pwd', 'otp'] : ['pwd'], ...(mfa && { acr: 'urn:mfa' }) },
  });
}

const server = createServer((request, response) => {
  if (request.method === 'POST' && request.url === '/_test/rotate') {
    current = makeProvider();
    response.writeHead(204).end();
  } else if (request.method === 'POST' && request.url === '/_test/shutdown') {
    response.writeHead(204).end(() => process.exit(0));
  } else if (request.url.startsWith('/interaction/')) {
    interaction(request, response).catch((error) => {
      console.error(error);
      response.writeHead(500).end();
    });
  } else {
    current.handle(request, response);
  }
});
server.listen(port, '127.0.0.1', () => console.log('listening', server.address().port));
