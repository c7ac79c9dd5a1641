import { expect, test } from 'vitest';
import { checkServerFinal, clientFinal, clientFirst } from '../../../src/kafka/scram.ts';

/** RFC 7677 section 3. */
const login = { username: 'user', password: 'pencil', nonce: 'rOprNGfwEbeRWgbNEkqO' };
const nonce = 'rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0';
const serverFirst = `r=${nonce},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096`;

test('the exchange of RFC 7677', async () => {
  expect(clientFirst(login.username, login.nonce)).toBe('n,,n=user,r=rOprNGfwEbeRWgbNEkqO');
  const { message, serverFinal } = await clientFinal('SCRAM-SHA-256', login, serverFirst);
  expect(message).toBe(`c=biws,r=${nonce},p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=`);
  expect(serverFinal).toBe('v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=');
  checkServerFinal(serverFinal, 'v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=');
});

test('all commas and equals signs of a name are escaped', () => {
  expect(clientFirst('a,b=c,d=', 'n')).toBe('n,,n=a=2Cb=3Dc=2Cd=3D,r=n');
});

test.each([
  ['nothing', '', "the broker's answer is not SCRAM-SHA-512's"],
  ['an error', 'e=other-error', "the broker's answer is not"],
  ['a nonce that is not ours', 'r=other,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096', "the broker's answer is not"],
  [
    'our nonce and nothing of its own',
    `r=${login.nonce},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096`,
    "the broker's answer",
  ],
  ['an extension that must be understood', `m=x,${serverFirst}`, "the broker's answer is not"],
  ['too few iterations', `r=${nonce},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=1`, 'asks for 1 iterations'],
  [
    'iterations without end',
    `r=${nonce},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=999999999`,
    'asks for 999999999 iterations',
  ],
])('a broker that answers with %s is refused', async (_, answer, message) => {
  await expect(clientFinal('SCRAM-SHA-512', login, answer)).rejects.toThrow(message);
});

test('a broker that cannot prove that it knows the password is refused', async () => {
  const { serverFinal } = await clientFinal('SCRAM-SHA-256', login, serverFirst);
  for (const said of ['v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G5=', 'v=', '', 'e=invalid-proof'])
    expect(() => checkServerFinal(serverFinal, said)).toThrow('the broker does not know the password itself');
});
