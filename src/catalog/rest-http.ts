import { FatalError, TransientError } from '../base/errors.ts';
import { type Answer, isThrottled, isUnauthorized, isUnknown } from '../base/http.ts';

/** The error that an answer stands for. `check` names what may be wrong. */
export function failureOf(doing: string, answer: Answer, check?: string): Error {
  const { status, words } = answer;
  if (isUnknown(answer) || isThrottled(answer)) return new TransientError(`${doing}: ${words}`);
  const message = (advice: string): FatalError => new FatalError(`${doing}: ${words}: ${advice}`);
  if (isUnauthorized(answer) || status === 403)
    return message(`check ${check ?? 'catalog.auth, and what the catalog grants to it'}`);
  if (status >= 300 && status < 400) return message('set catalog.uri to where it leads');
  return check === undefined ? new FatalError(`${doing}: ${words}`) : message(`check ${check}`);
}
