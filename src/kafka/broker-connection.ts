import { Connection, type ConnectionOptions } from '@platformatic/kafka';

type SendArguments<Answer> = Parameters<typeof Connection.prototype.send<Answer>>;

const apiVersionsKey = 18;

/** The library's connection, which also counts what is in flight and knows why it ended. */
export class BrokerConnection extends Connection {
  /** Requests that have no answer yet. */
  inFlight = 0;
  /** On the monotonic clock: when the session should be replaced, and when nothing more should be asked in it. */
  renewAtMs: number = Number.POSITIVE_INFINITY;
  endsAtMs: number = Number.POSITIVE_INFINITY;
  /** Whoever opens it has it no more: errors are told to those who ask. */
  isOpen = false;
  /** Makes what ended the connection an error of ours. */
  explain: (error: Error, isAnswered: boolean) => Error = (error) => error;
  /** Called when the broker has first done something for us. */
  onProven: () => void = () => {};
  #failure: Error | undefined;
  #isAnswered = false;
  #isProven = false;

  constructor(clientId: string, options: ConnectionOptions) {
    super(clientId, options);
    // What ended it before the library says that it is closed; and nobody else may listen.
    this.on('error', (error: Error) => {
      this.#failure ??= error;
    });
  }

  override send<Answer>(...args: SendArguments<Answer>): void {
    const [apiKey, version, create, parse, requestTags, answerTags, callback] = args;
    this.inFlight++;
    super.send(apiKey, version, create, parse, requestTags, answerTags, (error, answer) => {
      this.inFlight--;
      if (!error) this.#answered(apiKey);
      else if (this.#isExplicable(error))
        return callback(this.explain(this.#failure ?? error, this.#isAnswered), answer);
      callback(error, answer);
    });
  }

  /** The connection is gone, or never was what it should be; an answer that is an error is neither. */
  #isExplicable(error: Error): boolean {
    const { code = '' } = error as { code?: string };
    return this.isOpen && !this.#isProven && (code === 'PLT_KFK_NETWORK' || code === 'PLT_KFK_USER');
  }

  #answered(apiKey: number): void {
    this.#isAnswered = true;
    // Every listener tells its versions, whoever asks; and a login is looked at elsewhere.
    if (this.#isProven || apiKey === apiVersionsKey || !this.isConnected()) return;
    this.#isProven = true;
    this.onProven();
  }
}
