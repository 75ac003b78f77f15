// An OpenID provider for tests: `oidc-provider` with its development pages, on a loopback port.
// usage: node provider.mjs PORT CALLBACK MODULES; accounts.json beside CALLBACK's caller says what each account claims.
import { createRequire } from 'node:module';
import { readFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';

const [port, callback, modules, accounts] = process.argv.slice(2);
const require = createRequire(`${modules}/`);
const { default: Provider } = await import(pathToFileURL(require.resolve('oidc-provider')));

const provider = new Provider(`http://127.0.0.1:${port}`, {
  clients: [{ client_id: 'berth', client_secret: 'provider-secret-CANARY', redirect_uris: [callback] }],
  claims: { openid: ['sub'], profile: ['preferred_username', 'name'], email: ['email'], groups: ['groups'] },
  scopes: ['openid', 'profile', 'email', 'groups'],
  cookies: { keys: ['for tests only'] },
  // Read each time, so that a test can change what a provider says.
  findAccount: (_context, id) => {
    const claims = JSON.parse(readFileSync(accounts, 'utf8'))[id];
    return claims && { accountId: id, claims: () => ({ sub: id, ...claims }) };
  },
});
provider.listen(Number(port), '127.0.0.1', () => console.log('ready'));
