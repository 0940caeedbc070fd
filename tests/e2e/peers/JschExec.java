// Runs one command through JSch: JschExec PORT USER KEYFILE COMMAND
import com.jcraft.jsch.ChannelExec;
import com.jcraft.jsch.JSch;
import com.jcraft.jsch.Session;

public class JschExec {
    public static void main(String[] args) throws Exception {
        JSch jsch = new JSch();
        jsch.addIdentity(args[2]);
        Session session = jsch.getSession(args[1], "127.0.0.1", Integer.parseInt(args[0]));
        session.setConfig("StrictHostKeyChecking", "no");
        session.connect(20000);
        ChannelExec channel = (ChannelExec) session.openChannel("exec");
        channel.setCommand(args[3]);
        channel.setInputStream(System.in);
        channel.setErrStream(System.err);
        java.io.InputStream in = channel.getInputStream();
        channel.connect();
        byte[] block = new byte[32768];
        for (int n; (n = in.read(block)) >= 0; )
            System.out.write(block, 0, n);
        System.out.flush();
        while (!channel.isClosed())
            Thread.sleep(20);
        int status = channel.getExitStatus();
        session.disconnect();
        System.exit(status);
    }
}
