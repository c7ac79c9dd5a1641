import java.io.File;
import java.net.InetSocketAddress;
import org.apache.zookeeper.server.NIOServerCnxnFactory;
import org.apache.zookeeper.server.ZooKeeperServer;

/** A broker from before KRaft, and the ZooKeeper that it needs: PORT FOLDER SERVER_PROPERTIES. */
final class WithZooKeeper {
  private static final int TICK_MS = 500;

  private WithZooKeeper() {}

  public static void main(String[] args) throws Exception {
    File folder = new File(args[1]);
    NIOServerCnxnFactory factory = new NIOServerCnxnFactory();
    factory.configure(new InetSocketAddress("127.0.0.1", Integer.parseInt(args[0])), 0);
    factory.startup(new ZooKeeperServer(folder, folder, TICK_MS));
    kafka.Kafka.main(new String[] {args[2]});
  }
}
